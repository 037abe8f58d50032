"""What the pages of profiles share: style, bars, numbers, and writing them."""

from __future__ import annotations

import datetime
import math
from html import escape
from typing import Any

from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.plots.figure import COLOURS

__all__ = [
    "bars",
    "code",
    "decimals",
    "definitions",
    "number",
    "page",
    "place",
    "share",
    "share_bars",
    "text",
    "write_page",
]

_SHOWN_LETTERS = 80
_STYLE = """
:root{color-scheme:light dark;--ink:#222;--soft:#666;--line:#e3e3e3;--ground:#fff;--panel:#f4f5f6;
--warn:#a33d00}
@media(prefers-color-scheme:dark){:root{--ink:#e6e6e6;--soft:#a6a6a6;--line:#36393e;
--ground:#16181b;--panel:#23262a;--warn:#ff9d5c}}
body{font:14px/1.5 system-ui,'DejaVu Sans',sans-serif;color:var(--ink);background:var(--ground);
margin:2em auto;max-width:1200px;padding:0 1em}
h1{font-size:22px;margin:0 0 .2em}h2{font-size:17px;margin:1.8em 0 .5em}
table{border-collapse:collapse}th,td{padding:4px 14px 4px 0;text-align:left;vertical-align:top}
th{font-weight:normal;color:var(--soft);white-space:nowrap}
table.wide{width:100%;table-layout:fixed}table.wide td{overflow-wrap:anywhere}
table.wide>thead th{position:sticky;top:0;background:var(--ground);z-index:1;
border-bottom:1px solid var(--line)}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
tbody tr.c+tr.c,tbody tr.d+tr.c{border-top:1px solid var(--line)}
tr.d{display:none}tr.c:not([hidden]):has(details[open])+tr.d{display:table-row}
details>summary{cursor:pointer;padding:2px 0}details.page>summary{font-weight:bold;margin-top:.8em}
.q{color:var(--soft)}.s{color:var(--soft);font-size:12px;line-height:1.3;margin-top:2px}.w{color:var(--warn)}
.tag{border:1px solid var(--warn);color:var(--warn);border-radius:3px;padding:0 5px;font-size:12px}
code{font:13px 'DejaVu Sans Mono',monospace}svg{display:block}svg text{fill:currentColor}
.side{display:flex;flex-wrap:wrap;gap:8px 48px;margin:4px 0 14px}
ul{margin:.3em 0;padding-left:1.4em}
input{font:inherit;padding:3px 8px;width:22em;border:1px solid #8a8a8a;border-radius:3px;
color:inherit;background:var(--ground);margin-bottom:6px}
@media print{table.wide>thead th{position:static}}
"""


def page(title: str, body: str) -> str:
    """Return a whole HTML page, in ASCII; the body must be escaped already."""
    text = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{body}</body></html>\n"
    )
    return text.encode("ascii", "xmlcharrefreplace").decode()


def write_page(path: str, content: str) -> None:
    """Write a page to a local path or a URI.

    Raises
    ------
    StorageError
        When it cannot be written.
    """
    where = Folder.at(path).location
    head, _, name = where.rpartition("/")
    folder = Folder.at(head or "/")
    folder.create()
    folder.write_bytes(name, content.encode("ascii"))


def text(value: str, most: int = _SHOWN_LETTERS) -> str:
    """Return a text escaped, cut where it is long, visible where it is empty."""
    if not value.strip():
        return f'<span class="q">{"empty" if not value else "blank"}</span>'
    return escape(value if len(value) <= most else value[:most] + "…")


def code(name: str) -> str:
    """Return a name as code; where it is cut, the whole is told under the pointer."""
    if len(name) <= _SHOWN_LETTERS:
        return f"<code>{text(name)}</code>"
    return f'<code title="{escape(name[:2000])}">{text(name)}</code>'


def decimals(value: float) -> str:
    """Return a distance or a score to three decimals; what is not 0 does not look so."""
    return "&lt;0.001" if 0 < value < 0.0005 else f"{value:.3f}"


def number(value: float | None) -> str:
    """Return a number in few digits."""
    if value is None or not math.isfinite(value):
        return "–"
    size = abs(value)
    if size < 1e12 and (size >= 1e3 or value == int(value)):
        return f"{value:,.0f}"
    return f"{value:.4g}" if size >= 1e-3 else f"{value:.3g}"


def place(value: float | None, kind: str) -> str:
    """Return a point on a column's line: dates and times as such."""
    if value is not None and kind in ("date", "timestamp"):
        epoch = datetime.datetime(1970, 1, 1)
        try:
            if kind == "date":
                return (epoch + datetime.timedelta(days=value)).date().isoformat()
            return (epoch + datetime.timedelta(seconds=value)).isoformat(" ", "seconds")
        except OverflowError:
            return number(value)
    return number(value)


def share(part: float, whole: float) -> str:
    """Return a share in per cent; what is not none and not all does not look so."""
    if not whole:
        return "–"
    if not part:
        return "0%"
    found = 100 * part / whole
    if found < 0.1:
        return "&lt;0.1%"
    return f"{min(found, 99.9) if part < whole else found:.3g}%"


def bars(counts: list[float], width: int, height: int, label: str, colour: int = 0) -> str:
    """Return a histogram as one SVG path."""
    most = max(counts, default=0)
    if not most:
        return ""
    step = width / len(counts)
    path = "".join(
        f"M{i * step:.1f} {height}v-{max(height * n / most, 1):.1f}"
        f"h{max(step - 1, 1):.1f}V{height}z"
        for i, n in enumerate(counts)
        if n > 0
    )
    return (
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(label)}"><path d="{path}" fill="{COLOURS[colour]}"/></svg>'
    )


def share_bars(rows: list[tuple[str, float, str]]) -> str:
    """Return a table of (label in HTML, share from -1 to 1, told in HTML) with bars."""
    lines = "".join(
        f"<tr><td>{label}</td><td>{_bar(part)}{told}</td></tr>" for label, part, told in rows
    )
    return f"<table><tbody>{lines}</tbody></table>"


def _bar(part: float) -> str:
    width = 120 * min(abs(part), 1.0)
    return (
        f'<span style="display:inline-block;height:9px;width:{width:.0f}px;'
        f'background:{COLOURS[5 if part < 0 else 0]};margin-right:6px"></span>'
    )


def definitions(rows: list[tuple[str, Any]]) -> str:
    """Return a table of names and contents in HTML."""
    lines = "".join(f'<tr><th>{escape(k)}</th><td class="n">{v}</td></tr>' for k, v in rows)
    return f"<table><tbody>{lines}</tbody></table>"
