"""What the documents show, runs as it stands there, the blocks of one after the other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted((ROOT / "docs").glob("*.md"))
# They take a network into the driver.
OWN_PROCESS = ("deep_parallel",)


def code_of(document: Path) -> str:
    return "\n".join(re.findall(r"```python\n(.*?)```", document.read_text(), re.DOTALL))


@pytest.mark.parametrize(
    "document", [d for d in DOCUMENTS if d.stem not in OWN_PROCESS], ids=lambda p: p.stem
)
def test_the_examples_run(document, spark, tmp_path):
    # The JVM does not change its folder with this process.
    code = code_of(document)
    for folder, home in (("build", tmp_path), ("data", ROOT)):
        code = re.sub(rf"(?<=[\"']){folder}/", f"{home}/{folder}/", code)
    exec(compile(code, str(document), "exec"), {"__name__": "an_example"})


@pytest.mark.parametrize("name", OWN_PROCESS)
def test_the_examples_run_in_a_process(name, tmp_path):
    (tmp_path / "data").symlink_to(ROOT / "data")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYSPARK", "SPARKML"))}
    done = subprocess.run(
        [sys.executable, "-c", code_of(ROOT / "docs" / f"{name}.md")],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-3000:]
