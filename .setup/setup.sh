#!/usr/bin/env bash
# Prepares a fresh machine: a Python with a shared libpython, a virtual environment for the
# project, and the prebuilt DuckDB library. Does nothing when all of it is there already.
set -euo pipefail
cd "$(dirname "$0")/.."

want=$(cat .setup/duckdb.txt .setup/python.txt .setup/test.txt | cksum | cut -d' ' -f1)
stamp=.duckdb/stamp-$want
[ -f "$stamp" ] && [ -x .venv/bin/python ] && [ -e .duckdb/libduckdb.so ] && exit 0

command -v cargo >/dev/null 2>&1 || {
    echo "setup: cargo is not installed; install Rust 1.95 or newer (rustup toolchain install stable)" >&2
    exit 1
}

probe='
import sys, sysconfig, os
v = sys.version_info
lib = os.path.join(sysconfig.get_config_var("LIBDIR") or "", sysconfig.get_config_var("LDLIBRARY") or "")
ok = v >= (3, 11) and sysconfig.get_config_var("Py_ENABLE_SHARED") and os.path.exists(lib)
print(sys.executable if ok else "")
'
python=""
for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 /usr/bin/python3; do
    [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 || continue
    python=$("$candidate" -c "$probe" 2>/dev/null || true)
    [ -n "$python" ] && break
done
if [ -z "$python" ]; then
    cat >&2 <<'MSG'
setup: no Python 3.11 or newer with a shared libpython was found.
  Debian, Ubuntu:  apt-get install python3 python3-dev python3-venv libpython3-dev
  Fedora:          dnf install python3 python3-devel
  pyenv:           PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install 3.11
Then run `make setup` again, or name an interpreter: make setup PYTHON=/path/to/python3
MSG
    exit 1
fi

echo "setup: Python $("$python" -c 'import platform; print(platform.python_version())') with a shared libpython"
[ -x .venv/bin/python ] || "$python" -m venv .venv || {
    echo "setup: could not make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2
    exit 1
}
echo "setup: installing the Python packages of the fixtures and tests"
.venv/bin/python -m pip install --quiet --disable-pip-version-check -r .setup/python.txt -r .setup/test.txt

echo "setup: fetching libduckdb (2.0.0)"
mkdir -p .duckdb
work=$(mktemp -d .duckdb/fetch.XXXXXX)
trap 'rm -rf "$work"' EXIT
.venv/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --require-hashes --dest "$work" -r .setup/duckdb.txt
.venv/bin/python - "$work" <<'PY'
import glob, os, sys, zipfile

work = sys.argv[1]
(wheel,) = glob.glob(os.path.join(work, "*.whl"))
with zipfile.ZipFile(wheel) as z:
    # The extension module is also a complete libduckdb: it exports the whole C API.
    (name,) = [n for n in z.namelist() if n.startswith("_duckdb") and n.endswith(".so")]
    part = os.path.join(work, "libduckdb.so")
    with z.open(name) as src, open(part, "wb") as dst:
        while chunk := src.read(1 << 20):
            dst.write(chunk)
os.chmod(part, 0o755)
os.replace(part, ".duckdb/libduckdb.so")
if sys.platform == "darwin":
    link = ".duckdb/libduckdb.dylib"
    if os.path.lexists(link):
        os.remove(link)
    os.symlink("libduckdb.so", link)
PY
rm -f .duckdb/stamp-*
touch "$stamp"
echo "setup: done"
