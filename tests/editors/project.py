"""A copy of fixtures/customer_360 with one mistake, for the clients of this folder."""

import os
import shutil
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
TOOL = "tools/get_customer_metrics.yml"


def broken(folder: Path) -> Path:
    """Writes the copy; returns the file with the mistake."""
    ignored = shutil.ignore_patterns("target", ".mxcp", "*.duckdb", "*.wal", "__pycache__")
    shutil.copytree(REPOSITORY / "fixtures" / "customer_360", folder, ignore=ignored)
    tool = folder / TOOL
    text = tool.read_text()
    mistaken = text.replace("customer_id, name, email,", "customer_id, name, emial,", 1)
    assert text != mistaken, "the fixture has changed"
    tool.write_text(mistaken)
    return tool


def environment(home: Path) -> dict[str, str]:
    """As on a machine where nothing else is configured."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MXCP_", "XDG_", "NVIM"))}
    return kept | {"HOME": str(home), "NO_COLOR": "1", "LANG": "C.UTF-8"}
