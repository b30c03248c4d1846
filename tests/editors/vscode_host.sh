#!/usr/bin/env bash
# VS Code itself runs the extension: its server comes from npm, and a browser shows its window.
#
# usage: vscode_host.sh MXCP FOLDER [SCREENSHOT]
#
# FOLDER keeps what is installed. Needs npm and Chromium (CHROMIUM names it). Native parts of the server, which
# would have to be compiled, are left out: they are its log, its terminals and its own file watching.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mxcp=$(realpath "$1")
mkdir -p "$2"
folder=$(realpath "$2")
screenshot=$(realpath -m "${3:-$folder/vscode.png}")
chromium=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)}
if [ -z "$chromium" ]; then
  echo "vscode: no Chromium (\`apt-get install chromium\`, or CHROMIUM names one)" >&2
  exit 1
fi
stamp=$folder/stamp-$(cksum < "$here/host/package.json" | cut -d' ' -f1)
if [ ! -f "$stamp" ]; then
  cp "$here/host/package.json" "$folder/package.json"
  npm install --prefix "$folder" --ignore-scripts --no-audit --no-fund --loglevel=error
  npm install --prefix "$folder/node_modules/code-server/lib/vscode" --ignore-scripts --omit=dev --no-audit --no-fund --loglevel=error
  touch "$stamp"
fi
cp "$here/vscode_host.mjs" "$folder/"
node=$(find "$folder/node_modules" -path '*/bin/node' -type f | head -n 1)
exec "${node:-node}" "$folder/vscode_host.mjs" "$mxcp" "$here/../.." "$chromium" "$screenshot"
