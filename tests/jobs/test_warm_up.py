"""What jobs prepare ahead of time."""

from __future__ import annotations

import sys
import threading

import pytest

from sparkml_dist.cli import warm_up
from sparkml_dist.session import is_connect

SETTING = "spark.sql.codegen.wholeStage"


@pytest.fixture
def compiled(spark):
    """The session, which compiles expressions before and after the test as it did."""
    before = {key: spark.conf.get(key) for key in warm_up._INTERPRETED}
    for key in before:
        spark.conf.set(key, "true" if key == SETTING else "FALLBACK")
    yield spark
    for key, value in before.items():
        spark.conf.set(key, value)


def joined(name):
    for thread in threading.enumerate():
        if thread.name == f"sparkml_dist-ahead-{name}":
            thread.join(60)


def test_only_small_tables_are_interpreted(compiled, tmp_path, monkeypatch):
    if is_connect(compiled):
        pytest.skip("Connect does not tell the size of a table")
    table = tmp_path / "table.csv"
    table.write_text("a,b\n1,2\n")
    monkeypatch.setattr(warm_up, "_SMALL", 4)
    warm_up.interpret_small(compiled, str(table))
    warm_up.interpret_small(compiled, str(tmp_path / "missing.csv"))
    assert compiled.conf.get(SETTING) == "true"
    monkeypatch.setattr(warm_up, "_SMALL", 1000)
    warm_up.interpret_small(compiled, str(table))
    assert compiled.conf.get(SETTING) == "false"


def test_a_worker_imports_ahead_and_its_errors_are_left_to_others(spark):
    warm_up.start_worker(spark, ["json"])
    joined("worker")
    warm_up.start_worker(spark, ["no_such_module"])
    joined("worker")
    assert spark.range(3).count() == 3


def test_modules_are_imported_ahead(monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    warm_up.import_ahead(["colorsys", "no_such_module"])
    joined("imports")
    assert "colorsys" in sys.modules
