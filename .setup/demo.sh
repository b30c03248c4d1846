#!/usr/bin/env bash
# The main job on a real project, in a copy so that the checkout stays clean.
set -euo pipefail
mxcp=$(realpath "$1")
root=$(cd "$(dirname "$0")/.." && pwd)
export VIRTUAL_ENV="$root/.venv"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$root/fixtures/customer_360" "$work/"
cd "$work/customer_360"

step() { printf '\n$ %s\n' "$*"; }

step mxcp dbt build
"$mxcp" dbt build | tail -n 3
step mxcp build
"$mxcp" build
step mxcp test
"$mxcp" test | tail -n 1
step mxcp run tool get_customer_metrics -p customer_id=cust_123
"$mxcp" run tool get_customer_metrics -p customer_id=cust_123

# A column is renamed in a staging model: everything that breaks is named, and nothing is run.
sed -i.bak 's/AS email/AS mail/' models/staging/stg_customers.sql
step "mxcp validate    # after renaming a column in models/staging/stg_customers.sql"
if "$mxcp" validate --severity error; then
    echo "demo: the mistake was not found" >&2
    exit 1
fi
