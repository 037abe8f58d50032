"""The worked example in CONTRIBUTING.md works, and what it names is there."""

from __future__ import annotations

import re

from tests.examples import ROOT, blocks, run_here

CONTRIBUTING = ROOT / "CONTRIBUTING.md"


def test_the_worked_example_runs(spark, tmp_path):
    run_here("\n".join(blocks(CONTRIBUTING)), tmp_path)


def test_files_and_classes_of_the_table_of_bases_exist():
    table = "\n".join(re.findall(r"^\| .*\|$", CONTRIBUTING.read_text(), re.MULTILINE))
    rows = re.findall(r"`(\w+)` \(`([\w/]+\.py)`\)", table)
    assert len(rows) > 6
    for name, file in rows:
        text = (ROOT / "sparkml_dist" / file.removeprefix("sparkml_dist/")).read_text()
        assert f"class {name}(" in text or f"class {name}:" in text, (name, file)


def test_files_that_it_names_exist():
    new = {"mahalanobis.py", "mahalanobis_model.py", "test_mahalanobis.py"}
    named = set(re.findall(r"`([\w./-]*\w\.(?:py|md|toml|lock|sh))`", CONTRIBUTING.read_text()))
    homes = (ROOT, ROOT / "sparkml_dist")
    missing = [n for n in named if not any((home / n).is_file() for home in homes)]
    assert {name.rpartition("/")[2] for name in missing} <= new
