"""An hour of random edits in an open editor: nothing may panic, drift or grow.

usage: run.py MXCP [--seconds 3600] [--rate 20] [--seed 1]

A copy of fixtures/shop is open in `mxcp lsp`; edits come at the given rate, as typing, pasting and undoing
do. Every half minute the buffers are saved and what the server has pushed is compared with a clean
`mxcp validate --format json`. The script fails when the server ends, when it logs a bug, when the two
differ, or when its memory keeps growing.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from client import Client, Gone

REPOSITORY = Path(__file__).resolve().parents[2]
WORDS = [
    "SELECT", "FROM", "$id", "'", '"', "{{", "}}", "{% if x %}", "(", ")", ",", "  ", "\n", "\n    ", ":", "- ",
    "tool:", "type: string", "NULL", "customer_id", "ref('x')", "#", "ü", "😀", "[", "{", "&a", "*a", "|", ">",
]
EVERY = 30  # seconds between comparisons


def edited(text: str, original: str, dice: random.Random) -> str:
    """One edit of a text, as a hand would make it."""
    kind = dice.random()
    at = dice.randrange(len(text) + 1)
    if kind < 0.45:
        return text[:at] + dice.choice(WORDS) + text[at:]
    if kind < 0.7:
        return text[:at] + text[at + dice.randrange(1, 12):]
    if kind < 0.8:
        lines = text.splitlines(keepends=True) or [""]
        i = dice.randrange(len(lines))
        return "".join(lines[:i] + lines[i + 1:] if dice.random() < 0.5 else lines[:i] + lines[i:i + 1] + lines[i:])
    # Nobody types nonsense for ever.
    return original


def clean(mxcp: Path, root: Path) -> dict[str, list]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MXCP_")} | {"HOME": str(root)}
    run = subprocess.run(
        [str(mxcp), "validate", "--format", "json"], cwd=root, env=environment, capture_output=True, text=True, timeout=300
    )
    found: dict[str, list] = {}
    for d in json.loads(run.stdout):
        found.setdefault(d["file"], []).append((d["code"], d.get("line", 1), d["message"].split("\n")[0]))
    return {path: sorted(list_) for path, list_ in found.items()}


def pushed(client: Client) -> dict[str, list]:
    found = {}
    for uri, params in client.pushed.items():
        path = uri.removeprefix(client.root.as_uri() + "/")
        list_ = sorted(
            (d["code"], d["range"]["start"]["line"] + 1, d["message"].split("\n")[0]) for d in params["diagnostics"]
        )
        if list_:
            found[path] = list_
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mxcp", type=Path)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--rate", type=float, default=20, help="edits per second")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    dice = random.Random(args.seed)
    mxcp = args.mxcp.resolve()
    with tempfile.TemporaryDirectory() as work, tempfile.TemporaryFile("w+") as errors:
        root = Path(work).resolve() / "shop"
        shutil.copytree(REPOSITORY / "fixtures/shop", root, ignore=shutil.ignore_patterns("target", ".mxcp"))
        client = Client(mxcp, root, errors)
        originals = {
            str(p.relative_to(root)): p.read_text()
            for p in sorted(root.rglob("*"))
            if p.suffix in (".yml", ".sql", ".py", ".csv") and p.is_file() and p.name != "profiles.yml"
        }
        open_ = dice.sample(sorted(originals), min(12, len(originals)))
        texts = {path: originals[path] for path in open_}
        for path in open_:
            client.open(path, texts[path])
        started = time.monotonic()
        compared = started
        edits = comparisons = 0
        memory = []
        try:
            while (now := time.monotonic()) - started < args.seconds:
                path = dice.choice(open_)
                texts[path] = edited(texts[path], originals[path], dice)
                client.change(path, texts[path])
                edits += 1
                if dice.random() < 0.2:
                    line = dice.randrange(max(1, texts[path].count("\n")))
                    where = {"textDocument": {"uri": client.uri(path)}, "position": {"line": line, "character": dice.randrange(40)}}
                    client.ask(dice.choice(["textDocument/hover", "textDocument/completion", "textDocument/definition"]), where)
                client.drain()
                if now - compared > EVERY or now - started + 2 / args.rate > args.seconds:
                    compared = now
                    for path, text in texts.items():
                        (root / path).write_text(text)
                        client.notify("textDocument/didSave", {"textDocument": {"uri": client.uri(path)}})
                    for path in open_:
                        client.settled(path)
                    # A question behind the last edit: all that was to be pushed has been.
                    client.request("textDocument/documentSymbol", {"textDocument": {"uri": client.uri(open_[0])}})
                    client.drain()
                    wanted, got = clean(mxcp, root), pushed(client)
                    # A saved site file may name another database, which is read beside the questions.
                    patience = time.monotonic() + 10
                    while wanted != got and time.monotonic() < patience:
                        time.sleep(0.1)
                        client.drain()
                        got = pushed(client)
                    if wanted != got:
                        for path in sorted(wanted.keys() | got.keys()):
                            if wanted.get(path) != got.get(path):
                                print(f"{path}:\n  clean       {wanted.get(path)}\n  incremental {got.get(path)}")
                        print(f"after {edits} edits the diagnostics differ")
                        return 1
                    comparisons += 1
                    memory.append(client.resident())
                    print(f"{now - started:6.0f} s  {edits} edits  {memory[-1]:.0f} MiB  {sum(map(len, got.values()))} diagnostics, as a clean run", flush=True)
                time.sleep(max(0.0, started + edits / args.rate - time.monotonic()))
            code = client.leave()
        except (Gone, OSError) as error:
            code = f"the server is gone: {error}"
        errors.seek(0)
        log = errors.read()
        bugs = [line for line in log.splitlines() if "panicked" in line or "a bug" in line]
        if code != 0 or bugs:
            print(f"exit: {code}", *bugs[:20], sep="\n")
            return 1
        third = max(1, len(memory) // 3)
        early, late = memory[: 2 * third][-third:], memory[-third:]
        growth = sum(late) / len(late) / (sum(early) / len(early)) if memory else 1
        print(f"{edits} edits, {comparisons} comparisons, memory {memory[0]:.0f} -> {memory[-1]:.0f} MiB (x{growth:.2f} in the last third)")
        if len(memory) >= 9 and growth > 1.15:
            print("memory keeps growing")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
