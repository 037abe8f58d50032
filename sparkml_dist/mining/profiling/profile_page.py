"""A profile as a page: an overview with a line for each column, details where they are opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparkml_dist.mining.profiling.svg import (
    bars,
    definitions,
    number,
    page,
    place,
    share,
    share_bars,
    text,
)

if TYPE_CHECKING:
    from sparkml_dist.mining.profiling.profile import Profile

__all__ = ["profile_fragment", "profile_page"]

#: Columns in a fold of the page; the first is open.
_FOLD = 100
_SHOWN_REMARKS = 30
_SHOWN_PAIRS = 20
_SHOWN_IN_NOTEBOOK = 50
_STRONG = 0.5
_MATRIX = 40

# Hides the lines whose names lack what is typed; the page is whole without it.
_FILTER = """<script>
document.getElementById('find').addEventListener('input',function(e){
var s=e.target.value.toLowerCase();
document.querySelectorAll('details.page').forEach(function(d,i){d.open=s?true:i===0;});
document.querySelectorAll('tr.c').forEach(function(r){
r.style.display=r.dataset.name.toLowerCase().indexOf(s)<0?'none':'';});});
</script>"""


def profile_page(profile: Profile) -> str:
    """Return a profile as a self-contained page."""
    columns = profile.columns
    body = [
        "<h1>Profile</h1>",
        f'<div class="q">{profile.rows:,} rows, {len(columns):,} columns</div>',
        _remarks(columns),
        _correlations(profile),
        "<h2>Columns</h2>",
    ]
    if len(columns) > 10:
        body.append('<input id="find" type="search" placeholder="Find columns by name">')
    folds = [columns[i : i + _FOLD] for i in range(0, len(columns), _FOLD)]
    for i, fold in enumerate(folds):
        table = _table(fold)
        if len(folds) > 1:
            first = i * _FOLD + 1
            names = f"{text(fold[0]['name'])} … {text(fold[-1]['name'])}"
            table = (
                f'<details class="page"{" open" if i == 0 else ""}><summary>'
                f"{first:,} to {first + len(fold) - 1:,}: {names}</summary>{table}</details>"
            )
        body.append(table)
    if len(columns) > 10:
        body.append(_FILTER)
    return page("Profile", "".join(body))


def profile_fragment(profile: Profile) -> str:
    """Return the overview as a fragment for notebooks."""
    shown = profile.columns[:_SHOWN_IN_NOTEBOOK]
    more = len(profile.columns) - len(shown)
    end = f"<div>and {more:,} more columns: see to_html(path)</div>" if more else ""
    fragment = (
        f"<div><strong>Profile</strong>: {profile.rows:,} rows, "
        f"{len(profile.columns):,} columns{_table(shown, details=False)}{end}</div>"
    )
    return fragment.encode("ascii", "xmlcharrefreplace").decode()


def _remarks(columns: list[dict[str, Any]]) -> str:
    told = [(c["name"], r) for c in columns for r in c["remarks"]]
    if not told:
        return ""
    # Leaks first: they spoil most.
    told.sort(key=lambda t: not t[1].startswith("may leak"))
    lines = [f"<li><code>{text(name)}</code> {text(remark)}</li>" for name, remark in told]
    body = f"<ul>{''.join(lines[:_SHOWN_REMARKS])}</ul>"
    if rest := lines[_SHOWN_REMARKS:]:
        body += f"<details><summary>{len(rest):,} more</summary><ul>{''.join(rest)}</ul></details>"
    return f"<h2>Worth a second look</h2>{body}"


def _correlations(profile: Profile) -> str:
    names, r = profile.correlations["columns"], profile.correlations["pearson"]
    pairs = [
        (abs(r[i][j]), i, j)
        for i in range(len(names))
        for j in range(i)
        if r[i][j] is not None and abs(r[i][j]) >= _STRONG
    ]
    if len(names) < 2:
        return ""
    pairs.sort(key=lambda p: -p[0])
    lines = [
        (f"<code>{text(names[j])}</code> and <code>{text(names[i])}</code>", a, number(r[i][j]))
        for a, i, j in pairs[:_SHOWN_PAIRS]
    ]
    told = share_bars(lines) if lines else f"<div>No pair reaches {_STRONG}.</div>"
    if len(pairs) > _SHOWN_PAIRS:
        told += f'<div class="q">and {len(pairs) - _SHOWN_PAIRS:,} more pairs</div>'
    if left := profile.summary.get("uncorrelated"):
        told += f'<div class="q">{left:,} more columns were not correlated.</div>'
    picture = _matrix(names, r) if len(names) <= _MATRIX else ""
    return f'<h2>Correlations (Pearson)</h2><div class="side">{picture}<div>{told}</div></div>'


def _matrix(names: list[str], r: list[list[float | None]]) -> str:
    """Return the matrix as squares: blue is positive, orange is negative."""
    side = max(8, min(22, 440 // len(names)))
    cells = []
    for i, row in enumerate(r):
        for j, value in enumerate(row):
            if value is None:
                continue
            colour = "#0072B2" if value > 0 else "#D55E00"
            cells.append(
                f'<rect x="{j * side}" y="{i * side}" width="{side - 1}" height="{side - 1}" '
                f'fill="{colour}" fill-opacity="{abs(value):.2f}"><title>{text(names[i])}, '
                f"{text(names[j])}: {value:.3f}</title></rect>"
            )
    size = side * len(names)
    return (
        f'<svg width="{size}" height="{size}" viewBox="0 0 {size} {size}" role="img" '
        f'aria-label="correlation matrix">{"".join(cells)}</svg>'
    )


def _table(columns: list[dict[str, Any]], *, details: bool = True) -> str:
    rows = "".join(_row(column, details) for column in columns)
    heads = (
        ("column", "34%", ""),
        ("type", "14%", ""),
        ("missing", "9%", "n"),
        ("distinct", "11%", "n"),
        ("mean", "12%", "n"),
        ("distribution", "20%", ""),
    )
    head = "".join(f'<th class="{c}" style="width:{w}">{name}</th>' for name, w, c in heads)
    return f'<table class="wide"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _row(column: dict[str, Any], details: bool) -> str:
    name = text(column["name"])
    first = f"<code>{name}</code>"
    if details:
        first = f"<details><summary>{first}</summary>{_details(column)}</details>"
    if column["remarks"]:
        first += f'<div class="w">{text("; ".join(column["remarks"]))}</div>'
    distinct = "–"
    if "distinct" in column:
        about = "" if column["distinct_is_exact"] else "≈ "
        distinct = about + number(column["distinct"])
    cells = (
        ("", first),
        ("", text(column["type"])),
        ("n", share(column["missing"], column["rows"])),
        ("n", distinct),
        ("n", place(column.get("mean"), column["kind"])),
        ("", _picture(column)),
    )
    content = "".join(f'<td class="{c}">{cell}</td>' for c, cell in cells)
    return f'<tr class="c" data-name="{_attribute(column["name"])}">{content}</tr>'


def _attribute(name: str) -> str:
    from html import escape

    return escape(name, quote=True)


def _picture(column: dict[str, Any]) -> str:
    if "histogram" in column:
        return bars(column["histogram"]["counts"], 160, 30, f"histogram of {column['name']}")
    if column.get("frequent"):
        counts = [v["count"] for v in column["frequent"]]
        return bars(counts, 160, 30, f"most frequent values of {column['name']}", colour=4)
    return ""


def _details(column: dict[str, Any]) -> str:
    kind = column["kind"]
    parts = [definitions([("values", number(column["count"])), *_facts(column, kind)])]
    if "quantiles" in column:
        shown = [("least", column["min"])]
        shown += [(f"{float(q):.0%}", v) for q, v in column["quantiles"].items()]
        shown += [("greatest", column["max"])]
        parts.append(definitions([(q, place(v, kind)) for q, v in shown]))
    if column.get("frequent"):
        whole = max(column["count"], 1)
        lines = []
        for v in column["frequent"]:
            most = v["count_at_most"]
            told = number(v["count"]) + (f" to {number(most)}" if most > v["count"] else "")
            lines.append((text(v["value"]), v["count"] / whole, told))
        parts.append(share_bars(lines))
    return f'<div class="side">{"".join(f"<div>{p}</div>" for p in parts)}</div>'


def _facts(column: dict[str, Any], kind: str) -> list[tuple[str, str]]:
    facts = [("missing", number(column["missing"]))]
    odd = [key for key in ("nan", "infinite", "zeros") if column.get(key)]
    facts += [(key, number(column[key])) for key in odd]
    if "mean" in column:
        facts.append(("mean", place(column["mean"], kind)))
        unit = {"date": " days", "timestamp": " s"}.get(kind, "")
        facts.append(("standard deviation", number(column["sd"]) + unit))
        facts += [(k, number(column[k])) for k in ("skewness", "kurtosis")]
    if "lengths" in column:
        lengths = column["lengths"]
        facts.append(("letters", " / ".join(number(lengths[k]) for k in ("min", "mean", "max"))))
    if "leak" in column:
        facts.append(("tells the target", f"{column['leak']['score']:.3f}"))
    return facts
