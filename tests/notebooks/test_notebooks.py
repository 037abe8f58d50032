"""The example notebooks: they run, quickly, and every cell shows something that fits a page."""

from __future__ import annotations

import datetime

import pytest

from tests.browser import inspect_page, needs_browser
from tests.notebooks.notebooks import (
    NOTEBOOKS,
    as_page,
    outputs,
    run_notebook,
    source_of,
    text_of,
)

NAMES = [path.stem for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_notebooks_are_stored_without_outputs(path):
    book = source_of(path)
    assert book["nbformat"] == 4
    assert book["cells"][0]["cell_type"] == "markdown"
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
    assert "file:" not in path.read_text()


def test_there_is_one_for_each_room():
    rooms = {"mining", "search", "boosting", "statistics", "kernels", "graphical", "federated"}
    assert {"first_hour", "out_of_memory", "policies", *rooms} <= set(NAMES)


def _seconds(book):
    times = [c.metadata["execution"] for c in book.cells if c.cell_type == "code"]
    began, ended = (
        datetime.datetime.fromisoformat(t)
        for t in (times[0]["iopub.execute_input"], times[-1]["shell.execute_reply"])
    )
    return (ended - began).total_seconds()


@pytest.mark.long
@needs_browser
@pytest.mark.parametrize("connect", [False, True], ids=["classic", "connect"])
@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_a_notebook_runs_and_shows_tables_and_pictures(path, connect, tmp_path):
    pytest.importorskip("nbclient", reason="the extra notebook is not installed")
    book = run_notebook(path, tmp_path, connect=connect)
    print(f"{path.stem}: {_seconds(book):.0f} s")
    for output in outputs(book):
        assert output["output_type"] != "error"
        text = text_of(output)
        assert len(text) < 1500, f"a wall of text: {text[:300]}"
    shown = [o["data"] for o in outputs(book) if "data" in o]
    assert sum("text/html" in data for data in shown) >= 2
    assert any("image/png" in data for data in shown)
    page = as_page(book)
    (tmp_path / f"{path.stem}.html").write_text(page)
    for dark in (False, True):
        found = inspect_page(page, tmp_path, width=900, dark=dark)
        assert not found.console
        assert not found.wide and found.width <= 900
        assert not found.empty and found.images
