"""What the documents show, runs as it stands there, the blocks of one after the other."""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys

import pytest

import sparkml_dist
from tests.examples import ROOT, blocks, run_here
from tests.long import cases

DOCUMENTS = [path for path in sorted((ROOT / "docs").glob("*.md")) if blocks(path)]
# They take a network into the driver.
OWN_PROCESS = ("deep_parallel",)
HERE = [document for document in DOCUMENTS if document.stem not in OWN_PROCESS]
# Whose calls the README's examples and the tests of the estimators make as well.
MANY_FITS = (
    *("points", "patterns", "itemsets", "automl", "deep", "ensembles", "search"),
    *("graphical", "kernels", "statistics", "boosting", "features"),
    *("tracking", "federated", "reinforcement", "notebooks"),
)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.stem)
def test_the_examples_name_what_there_is(document):
    """Public names, and arguments that these take."""
    for node in ast.walk(ast.parse("\n".join(blocks(document)))):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="sd"), attr=name), keywords=given):
                known = inspect.signature(getattr(sparkml_dist, name)).parameters
                assert {k.arg for k in given if k.arg} <= {*known}, name
            case ast.Attribute(value=ast.Name(id="sd"), attr=name):
                assert name in sparkml_dist.__all__


@pytest.mark.parametrize(
    "document", cases(HERE, [d for d in HERE if d.stem not in MANY_FITS]), ids=lambda p: p.stem
)
def test_the_examples_run(document, spark, tmp_path):
    run_here("\n".join(blocks(document)), tmp_path)


@pytest.mark.long
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
