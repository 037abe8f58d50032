"""Pages in a real browser: what overflows, which pictures are empty, what the console says."""

from __future__ import annotations

import html
import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from shutil import which

import pytest

CHROMIUM = which("chromium") or which("chromium-browser") or which("google-chrome")
needs_browser = pytest.mark.skipif(not CHROMIUM, reason="there is no browser")

# Runs in the page once it is drawn: text that is wider than its box, and pictures of one colour.
_INSPECTION = """
<script>
window.addEventListener("load", () => {
  const shown = e => e.getClientRects().length > 0;
  const wide = [...document.querySelectorAll("body, body *")].filter(
    e => shown(e) && e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0
      && !["auto", "scroll"].includes(getComputedStyle(e).overflowX));
  const plain = image => {
    if (!image.naturalWidth) return true;
    const canvas = document.createElement("canvas");
    canvas.width = 64; canvas.height = 64;
    const pen = canvas.getContext("2d");
    pen.drawImage(image, 0, 0, 64, 64);
    const dots = pen.getImageData(0, 0, 64, 64).data;
    return dots.every((value, i) => value === dots[i % 4]);
  };
  const found = {
    width: document.documentElement.scrollWidth,
    wide: wide.map(e => e.tagName + ": " + e.textContent.trim().slice(0, 60)),
    images: document.images.length,
    empty: [...document.images].filter(plain).map(e => e.alt),
    ink: getComputedStyle(document.body).color,
    ground: getComputedStyle(document.body).backgroundColor,
  };
  const note = document.createElement("pre");
  note.id = "inspection";
  note.hidden = true;
  note.textContent = JSON.stringify(found);
  document.body.append(note);
});
</script>
"""


@dataclass(frozen=True)
class Inspection:
    """What a browser makes of a page.

    Attributes
    ----------
    width : int
        Of the page, in pixels.
    wide : list of str
        Elements whose content is wider than they are.
    images : int
        Number of pictures.
    empty : list of str
        Those that are not drawn, or have one colour only.
    ink, ground : str
        Colours of text and page.
    console : list of str
        Errors and warnings.
    """

    width: int
    wide: list[str]
    images: int
    empty: list[str]
    ink: str
    ground: str
    console: list[str]


def _chromium(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *("--disable-dev-shm-usage", "--enable-logging=stderr", *arguments),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _scheme(dark: bool) -> str:
    return f"--blink-settings=preferredColorScheme={0 if dark else 1}"


def inspect_page(page: str, folder: Path, *, width: int = 1000, dark: bool = False) -> Inspection:
    """Return what a browser makes of a page.

    Parameters
    ----------
    page : str
        HTML.
    folder : Path
        For a copy with the inspection.
    width : int, default=1000
        Of the window.
    dark : bool, default=False
        Whether the reader prefers dark pages.
    """
    copy = folder / f"inspected-{width}-{dark}.html"
    copy.write_text(page.replace("</body>", f"{_INSPECTION}</body>"))
    done = _chromium(f"--window-size={width},900", _scheme(dark), "--dump-dom", copy.as_uri())
    note = re.search(r'<pre id="inspection" hidden="">(.*?)</pre>', done.stdout, re.DOTALL)
    assert note, done.stderr[-2000:]
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return Inspection(**json.loads(html.unescape(note[1])), console=console)


def screenshot(
    page: Path, target: Path, *, width: int = 1000, height: int = 900, dark: bool = False
) -> None:
    """Write what a browser shows of a page as a PNG."""
    _chromium(
        f"--window-size={width},{height}", _scheme(dark), f"--screenshot={target}", page.as_uri()
    )
    assert target.exists()


def printed(page: Path, target: Path) -> None:
    """Write a page as a PDF, as a browser prints it."""
    _chromium("--no-pdf-header-footer", f"--print-to-pdf={target}", page.as_uri())
    assert target.read_bytes().startswith(b"%PDF")
