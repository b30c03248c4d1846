#!/usr/bin/env bash
# The Python clients that drive the language server, in a virtual environment of their own: .editors.
set -euo pipefail
cd "$(dirname "$0")/.."
stamp=.editors/stamp-$(cksum < .setup/editors.txt | cut -d' ' -f1)
[ -f "$stamp" ] && exit 0
rm -rf .editors
.venv/bin/python -m venv .editors
.editors/bin/python -m pip install --quiet --disable-pip-version-check -r .setup/editors.txt
touch "$stamp"
