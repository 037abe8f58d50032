"""The documentation site is built without a warning and has every public name."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from scripts.build_docs import TITLES, reference_pages, with_site_links
from sparkml_dist.public_names import PUBLIC_NAMES
from tests.examples import ROOT


@pytest.fixture(scope="module")
def site():
    """The folder of the built site."""
    done = subprocess.run(
        [sys.executable, "scripts/build_docs.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return ROOT / "build" / "site"


def test_every_public_name_is_in_the_reference(site):
    pages = {page: (site / "reference" / f"{page}.html").read_text() for page in TITLES}
    headings = [
        re.findall(r'<h2 id="(sparkml_dist\.[\w.]+)" class="doc doc-heading"', text)
        for text in pages.values()
    ]
    found = sorted(name for page in headings for name in page)
    assert found == sorted(f"sparkml_dist.{module}.{name}" for name, module in PUBLIC_NAMES.items())
    overview = (site / "reference" / "index.html").read_text()
    links = set(re.findall(r'href="(\w+)\.html#(sparkml_dist\.[\w.]+)"', overview))
    assert {name for _, name in links} == set(found)
    assert all(f'id="{name}"' in pages[page] for page, name in links)


def test_every_document_is_a_page(site):
    for document in (ROOT / "docs").glob("*.md"):
        assert (site / f"{document.stem}.html").is_file()


def test_the_site_asks_no_other_host(site):
    fetched = re.compile(r'<(?:script|link|img)[^>]+(?:src|href)="(?:https?:)?//')
    pages = list(site.rglob("*.html"))
    assert len(pages) > 15
    assert [page.name for page in pages if fetched.search(page.read_text())] == []
    styles = "".join(path.read_text() for path in site.rglob("*.css"))
    assert not re.search(r"@import|url\(\s*['\"]?(?:https?:)?//", styles)


def test_a_name_of_no_other_room_is_on_the_last_page():
    pages = reference_pages({"one": "mining", "two": "session"})
    assert "::: sparkml_dist.mining.one\n" in pages["mining"]
    assert "::: sparkml_dist.session.two\n" in pages["common"]
    assert "two" not in pages["mining"]


@pytest.mark.parametrize(
    ("home", "link", "wanted"),
    [
        (".", "[a](docs/deep.md#b)", "[a](deep.md#b)"),
        ("docs", "[a](../SECURITY.md)", "[a](security.md)"),
        ("docs", "[a](deep.md)", "[a](deep.md)"),
        (".", "[a](jobs/score.py)", "a"),
        (".", "[a](https://b.org/c)", "[a](https://b.org/c)"),
        (".", "[a](#b)", "[a](#b)"),
    ],
)
def test_links_lead_to_pages(home, link, wanted):
    assert with_site_links(f"See {link}.", home) == f"See {wanted}."
