"""Reports of models: complete, self-contained, and with every value as the text that it is."""

from __future__ import annotations

import html
import re
import subprocess
from html.parser import HTMLParser
from shutil import which

import pytest

from sparkml_dist.errors import SparkMLDistError
from sparkml_dist.report.markdown import escaped
from sparkml_dist.report.model_report import Candidate, FeatureFacts, ModelReport
from sparkml_dist.report.pictures import Picture

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
SVG = b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><script>x()</script></svg>"
HOSTILE = "<script>alert('1')</script> | `x` *y* [z](http://a.b) {{ 7 * 7 }} \n# head $1$"


def report(rows=3, columns=4, name="model", **more):
    given = {
        "summary": "An ensemble.",
        "facts": {"label": name, "rows": 120_000, "budget": 60.5, "calibrated": True},
        "metric": "log loss",
        "metrics": {"accuracy": 0.91234, name: None},
        "evaluated_on": f"held-out rows of {name}",
        "leaderboard": [
            Candidate(
                f"{name} {i}",
                None if i == 1 else i / 3,
                {"accuracy": 0.5} if i else {},
                None if i == 2 else 1.5,
                {name: i, "rate": 0.1},
                name,
                chosen=i == 0,
            )
            for i in range(rows)
        ],
        "left": [(name, f"reason {i}") for i in range(rows)],
        "features": [
            FeatureFacts(f"{name} {i}", "double", "numeric", 0.1, 0.2 - i, [name])
            for i in range(columns)
        ],
        "classes": {name: 5.0, "other": 10.0},
        "alerts": [(name, "may leak the target")],
        "limitations": [name],
        "pictures": [Picture(name, PNG, name), Picture("vector", SVG)],
        "settings": {name: name, "seed": 0},
        "versions": {"sparkml_dist": "0.1"},
    }
    return ModelReport(name, **{**given, **more})


class Page(HTMLParser):
    """What a page consists of."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.open, self.text = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [v for k, v in attrs if k in ("src", "href", "action", "srcset")]
        assert not any(k.startswith("on") for k, _ in attrs)
        if tag not in ("meta", "img", "path"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (3, 4), (60, 40), (60, 300)])
def test_a_page_that_needs_nothing_else(rows, columns):
    text = report(rows, columns).to_html()
    page = Page(text)
    assert page.open == [] and "script" not in page.tags and "link" not in page.tags
    assert page.links and all(link.startswith("data:image/") for link in page.links)
    assert not re.search(r"@import|url\(", text)
    assert text.isascii()
    for i in range(rows):
        assert f"model {i}" in page.text and f"reason {i}" in page.text
    assert all(f"model {i}" in page.text for i in range(columns))
    assert ("more" in page.text) == (rows > 20)


def test_an_empty_report_has_no_empty_headings():
    page = Page(ModelReport("nothing").to_html())
    assert "h2" not in page.tags and "table" not in page.tags
    card = ModelReport("nothing").to_markdown()
    assert "Not measured" in card and "None found by the profile" in card


def test_values_are_shown_as_they_are():
    text = report(name=HOSTILE).to_html()
    page = Page(text)
    assert "script" not in page.tags and "a" not in page.tags
    assert "<script>alert('1')</script>" in page.text and "{{ 7 * 7 }}" in page.text
    assert "0.9123" in page.text and "120,000" in page.text and "60.5" in page.text
    assert "True" in page.text


def test_a_card_in_markdown():
    card = report(30).to_markdown()
    heads = [line for line in card.splitlines() if line.startswith("#")]
    assert [h.lstrip("# ") for h in heads] == [
        "Model card: model",
        "Model details",
        "Intended use",
        "Factors",
        "Metrics",
        "Data",
        "Limitations found in the data",
        "Ethical considerations",
        "Alternatives",
        "To reproduce",
    ]
    assert card.count("To be filled in by the owner") == 3
    assert "| accuracy | 0.9123 |" in card and "| other | 10 | 66.7% |" in card
    assert "- model: may leak the target" in card and "and 10 more." in card
    assert "\n\n\n" not in card


def test_values_in_markdown_are_no_markup(tmp_path):
    card = report(name=HOSTILE, classes={"größer": 1.0}).to_markdown(str(tmp_path / "card.md"))
    assert (tmp_path / "card.md").read_text(encoding="utf-8") == card
    assert "<script" not in card and "größer" in card
    assert not re.search(r"(?<!\\)[`\[]", card)
    # A cell of a table ends where the template says.
    table = [line for line in card.splitlines() if line.startswith("|")]
    cells = {len(re.findall(r"(?<!\\)\|", line)) for line in table}
    assert cells == {3, 4, 5}
    assert not [line for line in card.splitlines() if line.startswith("# head")]


@pytest.mark.parametrize("value", ["a|b", "a\nb", "<b>", "&lt;", "_a_", "\\|", "1 ~~x~~"])
def test_escaped_text_reads_as_the_text(value):
    shown = html.unescape(re.sub(r"\\([\\`*_\[\]<>|~$])", r"\1", escaped(value)))
    assert shown == " ".join(value.split())


def test_a_page_is_written(tmp_path):
    page = report().to_html(str(tmp_path / "out" / "report.html"))
    assert (tmp_path / "out" / "report.html").read_text() == page


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"<html>", b"<?xml version='1'?><html>"])
def test_pictures_are_png_or_svg(content):
    with pytest.raises(SparkMLDistError, match="PNG"):
        Picture("x", content)
    assert Picture("x", b"\xef\xbb\xbf<?xml version='1'?>" + SVG).source.startswith(
        "data:image/svg"
    )


@pytest.mark.skipif(not which("chromium"), reason="there is no browser")
def test_a_browser_draws_the_page_without_a_scrollbar(tmp_path):
    """Long names and many rows do not make the page wider than the window."""
    path = tmp_path / "report.html"
    path.write_text(report(60, 40, name="a_long_name_" * 20).to_html())
    wide = "<script>document.title = document.documentElement.scrollWidth</script>"
    path.write_text(path.read_text().replace("</body>", f"{wide}</body>"))
    done = subprocess.run(
        [
            *("chromium", "--headless", "--no-sandbox", "--disable-gpu"),
            *("--window-size=1000,800", "--dump-dom", path.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    title = re.search(r"<title>(\d+)</title>", done.stdout)
    assert title and int(title[1]) <= 1000
