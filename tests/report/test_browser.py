"""Pages in a real browser: nothing overflows, no picture is empty, light, dark and on paper."""

from __future__ import annotations

import pytest

from sparkml_dist.cli.document import MetricsDocument
from sparkml_dist.cli.job_report import write_job_report
from sparkml_dist.errors import DataError
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.model_report import Candidate, FeatureFacts, ModelReport
from sparkml_dist.report.plots.bars import plot_bars
from tests.browser import inspect_page, needs_browser, printed

LONG = "a_name_without_any_blank_" * 20


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The report of a job in which everything that can be long is long."""
    home = Folder.at(tmp_path_factory.mktemp("job") / "out")
    home.child("plots").create()
    for name in ("one", "two", "three"):
        plot_bars({LONG: 1.0, "b": 2.0}, home.child("plots"), f"{name}.png", title=name, x=LONG)
    document = MetricsDocument("train_ensemble", arguments=["--train", LONG, "--features", LONG])
    document.warnings = [LONG]
    document.metrics = {"accuracy": 0.9, LONG: 0.5, **{f"m{i}": float(i) for i in range(20)}}
    document.seconds = {"read": 2.0, LONG: 30_000.0}
    document.more = {"output": {"model": LONG}, LONG: LONG, "rules_by_size": {LONG: 3, "2": 100}}
    document.fail(DataError("a_code", LONG, LONG), LONG)
    model = ModelReport(
        "",
        summary=LONG,
        metric=LONG[:40],
        leaderboard=[Candidate(LONG, 0.5, {LONG: 0.4}, 1.0, {LONG: LONG}, LONG)] * 3,
        features=[FeatureFacts(LONG, LONG, LONG, 0.1, 0.2, [LONG])] * 3,
        classes={LONG: 3.0},
        alerts=[(LONG, LONG)],
        left=[(LONG, LONG)],
    )
    write_job_report(home, document.to_dict(), model=model)
    return home.read_bytes("report.html").decode()


@needs_browser
@pytest.mark.parametrize(
    ("width", "dark"),
    [
        (1000, True),
        pytest.param(1000, False, marks=pytest.mark.long),
        pytest.param(500, False, marks=pytest.mark.long),
        pytest.param(2000, True, marks=pytest.mark.long),
    ],
)
def test_the_report_of_a_job(page, width, dark, tmp_path):
    found = inspect_page(page, tmp_path, width=width, dark=dark)
    assert found.console == []
    assert found.wide == [] and found.width <= width
    assert (found.images, found.empty) == (3, [])
    assert found.ground == ("rgb(22, 24, 27)" if dark else "rgb(255, 255, 255)")


@needs_browser
@pytest.mark.long
def test_a_broken_page_is_found(tmp_path):
    page = (
        "<html><body><img alt='gone' src='data:image/png;base64,AAAA'>"
        "<div style='width:50px;overflow:hidden'>wiiiiiiiiiiiiiiiiiiiiiiiiiide</div>"
        "<script>undefined_function()</script></body></html>"
    )
    found = inspect_page(page, tmp_path)
    assert found.empty == ["gone"] and found.console
    assert any(name.startswith("DIV: wiii") for name in found.wide)


@needs_browser
@pytest.mark.long
def test_it_is_printed_on_white(page, tmp_path):
    """Paper is white, also where the reader prefers dark pages."""
    (tmp_path / "report.html").write_text(page)
    printed(tmp_path / "report.html", tmp_path / "report.pdf")
    on_paper = page.replace("@media print", "@media screen").replace(
        "@media screen and", "@media x"
    )
    found = inspect_page(on_paper, tmp_path, width=794, dark=True)
    assert found.ground == "rgb(255, 255, 255)" and found.ink == "rgb(34, 34, 34)"
    assert found.wide == [] and found.width <= 794 and found.empty == []
