#!/usr/bin/env bash
# dbt with its DuckDB adapter, which dbt projects are compared with, in a virtual environment of its own: .dbt.
set -euo pipefail
cd "$(dirname "$0")/.."
stamp=.dbt/stamp-$(cksum < .setup/dbt.txt | cut -d' ' -f1)
[ -f "$stamp" ] && exit 0
echo "dbt: installing $(head -n 1 .setup/dbt.txt) into .dbt"
rm -rf .dbt
.venv/bin/python -m venv .dbt
.dbt/bin/python -m pip install --quiet --disable-pip-version-check -r .setup/dbt.txt
touch "$stamp"
