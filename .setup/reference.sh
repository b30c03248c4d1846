#!/usr/bin/env bash
# The Python product that projects are compared with, in a virtual environment of its own: .reference.
set -euo pipefail
cd "$(dirname "$0")/.."
stamp=.reference/stamp-$(cksum < .setup/reference.txt | cut -d' ' -f1)
[ -f "$stamp" ] && exit 0
echo "reference: installing $(head -n 1 .setup/reference.txt) into .reference"
rm -rf .reference
.venv/bin/python -m venv .reference
.reference/bin/python -m pip install --quiet --disable-pip-version-check -r .setup/reference.txt
touch "$stamp"
