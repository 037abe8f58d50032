"""What the README shows, runs as it stands there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def block(language: str) -> str:
    """The README's only code block in `language`."""
    found = re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(found) == 1
    return found[0]


@pytest.fixture
def checkout(tmp_path):
    """A folder that looks like the project's, where examples may write."""
    for name in ("data", "jobs", "spark-defaults.conf", ".venv"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def run(command: list[str], folder: Path) -> str:
    """Run `command` in `folder` as a user would and return what it prints."""
    env = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PYSPARK", "PYTHONPATH", "SPARKML"))
    }
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_notebook_in_ten_lines(checkout):
    code = block("python")
    assert sum(1 for line in code.splitlines() if line.strip()) == 10
    shown = run([sys.executable, "-c", code], checkout)
    assert "predictedLabel" in shown
    assert shown.count("|") > 20
    assert (checkout / "build" / "trees" / "manifest.json").is_file()


@pytest.mark.skipif(not (ROOT / ".venv").exists(), reason="the commands name .venv")
def test_spark_submit(checkout):
    shown = run(["bash", "-euc", block("sh")], checkout)
    trained, scored = (json.loads(line) for line in shown.splitlines() if line.startswith("{"))
    assert trained["metrics"]["accuracy"] > 0.8
    assert scored["rows"] == 1500
    assert json.loads((checkout / "build/machines/metrics.json").read_text()) == trained
