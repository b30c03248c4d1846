"""Neovim opens a broken file in a terminal; its screen has to show the diagnostic.

usage: neovim.py MXCP [--write]

The screen is compared with neovim.txt beside this script; --write keeps the new one.
"""

import argparse
import fcntl
import os
import pty
import select
import shutil
import signal
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path

import pyte

import project

ROWS, COLUMNS = 28, 132
PATIENCE = 60  # seconds
HERE = Path(__file__).resolve().parent
MESSAGE = "no column `emial`"


def show(mxcp: Path, folder: Path) -> list[str]:
    file = project.broken(folder / "customer_360")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder / "customer_360")
        environment = project.environment(folder) | {"MXCP": str(mxcp), "TERM": "xterm-256color"}
        args = ["nvim", "-u", str(HERE / "neovim.lua"), "-i", "NONE", str(file.relative_to(folder / "customer_360"))]
        os.execvpe("nvim", args, environment)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    os.kill(pid, signal.SIGWINCH)
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    try:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if select.select([terminal], [], [], 0.2)[0]:
                try:
                    stream.feed(os.read(terminal, 65536))
                except OSError:
                    break
            elif any(MESSAGE in line for line in screen.display):
                break
        return [line.rstrip() for line in screen.display]
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mxcp", type=Path)
    parser.add_argument("--write", action="store_true", help="keep the screen as the one to compare with")
    args = parser.parse_args()
    if shutil.which("nvim") is None:
        print("neovim: not installed (`apt-get install neovim`)", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="mxcp-neovim-") as folder:
        screen = show(args.mxcp.resolve(), Path(folder).resolve())
    text = "\n".join(screen).rstrip() + "\n"
    kept = HERE / "neovim.txt"
    if args.write:
        kept.write_text(text)
    shown = [line for line in screen if MESSAGE in line]
    if not shown or "emial" not in shown[0].split(MESSAGE)[0]:
        print(f"neovim: the diagnostic is not on its line\n{text}", file=sys.stderr)
        return 1
    if not args.write and kept.read_text() != text:
        print(f"neovim: the screen is not that of {kept.name}; --write keeps this one\n{text}", file=sys.stderr)
        return 1
    print(f"neovim: {shown[0].strip()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
