"""What the documents show, runs as it stands there, the blocks of one after the other."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.examples import ROOT, blocks, run_here

DOCUMENTS = [path for path in sorted((ROOT / "docs").glob("*.md")) if blocks(path)]
# They take a network into the driver.
OWN_PROCESS = ("deep_parallel",)


@pytest.mark.parametrize(
    "document", [d for d in DOCUMENTS if d.stem not in OWN_PROCESS], ids=lambda p: p.stem
)
def test_the_examples_run(document, spark, tmp_path):
    run_here("\n".join(blocks(document)), tmp_path)


@pytest.mark.parametrize("name", OWN_PROCESS)
def test_the_examples_run_in_a_process(name, tmp_path):
    (tmp_path / "data").symlink_to(ROOT / "data")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYSPARK", "SPARKML"))}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks(ROOT / "docs" / f"{name}.md"))],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-3000:]
