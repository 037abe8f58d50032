"""A profile as a page: an overview with a line for each column, details where they are opened."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from sparkml_dist.mining.profiling.svg import (
    bars,
    code,
    decimals,
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
_LABEL = 150
_KINDS = {
    "number": "numeric",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "time",
    "text": "text",
    "binary": "binary",
    "lengths": "array or map",
    "nested": "nested",
}

# Hides the lines whose names lack what is typed; the page is whole without it.
_FILTER = """<script>
document.getElementById('find').addEventListener('input',function(e){
var s=e.target.value.toLowerCase();
document.querySelectorAll('details.page').forEach(function(d,i){d.open=s?true:i===0;});
document.querySelectorAll('tr.c').forEach(function(r){
r.hidden=r.dataset.name.toLowerCase().indexOf(s)<0;});});
</script>"""


def profile_page(profile: Profile) -> str:
    """Return a profile as a self-contained page."""
    columns = profile.columns
    body = [
        "<h1>Profile</h1>",
        _overview(profile),
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


def _overview(profile: Profile) -> str:
    columns = profile.columns
    kinds = Counter(c["kind"] for c in columns)
    told = ", ".join(f"{n:,} {_KINDS[kind]}" for kind, n in kinds.most_common())
    gone = share(sum(c["missing"] for c in columns), profile.rows * len(columns))
    lines = [f"{profile.rows:,} rows, {len(columns):,} columns: {told}", f"{gone} of cells missing"]
    if profile.target is not None:
        lines.append(f"target {code(profile.target)}")
    return f'<div class="q">{"; ".join(lines)}</div>'


def _remarks(columns: list[dict[str, Any]]) -> str:
    told = [(c["name"], r) for c in columns for r in c["remarks"]]
    if not told:
        return ""
    # Leaks first: they spoil most.
    told.sort(key=lambda t: not t[1].startswith("may leak"))
    lines = [f"<li>{code(name)} {text(remark)}</li>" for name, remark in told]
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
        (f"{code(names[j])} and {code(names[i])}", value, f"{value:.3f}")
        for _, i, j in pairs[:_SHOWN_PAIRS]
        if (value := r[i][j]) is not None
    ]
    told = share_bars(lines) if lines else f"<div>No pair reaches {_STRONG}.</div>"
    if len(pairs) > _SHOWN_PAIRS:
        told += f'<div class="q">and {len(pairs) - _SHOWN_PAIRS:,} more pairs</div>'
    if left := profile.summary.get("uncorrelated"):
        told += f'<div class="q">{left:,} more columns were not correlated.</div>'
    shown = list(range(len(names)))
    if len(names) > _MATRIX:
        shown = list(dict.fromkeys(k for _, i, j in pairs for k in (j, i)))[:_MATRIX]
        if shown:
            told += (
                f'<div class="q">The picture has the {len(shown)} columns of the first pairs.</div>'
            )
    picture = _matrix([names[i] for i in shown], [[r[i][j] for j in shown] for i in shown])
    return f'<h2>Correlations (Pearson)</h2><div class="side">{picture}<div>{told}</div></div>'


def _matrix(names: list[str], r: list[list[float | None]]) -> str:
    """Return the matrix as squares below its diagonal: blue is positive, orange negative."""
    if not names:
        return ""
    side = max(14, min(22, 440 // len(names)))
    cells = []
    for i, name in enumerate(names):
        y = i * side
        cells.append(
            f'<text x="{_LABEL - 6}" y="{y + side / 2 + 4:.0f}" text-anchor="end">'
            f"{text(name, 20)}</text>"
        )
        for j in range(i):
            value = r[i][j]
            colour, strength = "#8A8A8A", 0.0
            if value is not None:
                colour, strength = ("#0072B2" if value > 0 else "#D55E00"), abs(value)
            told = "undefined" if value is None else f"{value:.3f}"
            cells.append(
                f'<rect x="{_LABEL + j * side}" y="{y}" width="{side - 1}" height="{side - 1}" '
                f'fill="{colour}" fill-opacity="{max(strength, 0.04):.2f}"><title>{text(name)}, '
                f"{text(names[j])}: {told}</title></rect>"
            )
        # On the diagonal, each column has its name again: to the right of its square.
        x = _LABEL + i * side + 3
        cells.append(
            f'<text x="{x}" y="{y + side / 2 + 4:.0f}" opacity="0.6">{text(name, 20)}</text>'
        )
    width, height = 2 * _LABEL + side * len(names), side * len(names)
    legend = '<div class="s">Blue: rise together. Orange: one falls as the other rises.</div>'
    return (
        f'<div><svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'font-size="11" aria-label="correlation matrix">{"".join(cells)}</svg>{legend}</div>'
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
    first = code(column["name"])
    if details:
        first = f"<details><summary>{first}</summary></details>"  # its style opens the next row
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
        ("", f'{_picture(column)}<div class="s">{_caption(column)}</div>'),
    )
    content = "".join(f'<td class="{c}">{cell}</td>' for c, cell in cells)
    row = f'<tr class="c" data-name="{_attribute(column["name"])}">{content}</tr>'
    if details:
        row += f'<tr class="d"><td colspan="{len(cells)}">{_details(column)}</td></tr>'
    return row


def _attribute(name: str) -> str:
    from html import escape

    return escape(name, quote=True)


def _picture(column: dict[str, Any]) -> str:
    if "histogram" in column:
        return bars(column["histogram"]["counts"], 160, 30, f"histogram of {column['name']}")
    if frequent := _known(column):
        counts = [v["count"] for v in frequent]
        return bars(counts, 160, 30, f"most frequent values of {column['name']}", colour=4)
    return ""


def _known(column: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the frequent values whose counts are told within a factor of two."""
    return [v for v in column.get("frequent", []) if 2 * v["count"] >= v["count_at_most"]]


def _caption(column: dict[str, Any]) -> str:
    """Return what stands below the picture: the ends, or the most frequent value."""
    kind = column["kind"]
    if "histogram" in column:
        least, most = place(column["min"], kind), place(column["max"], kind)
        return least if least == most else f"{least} … {most}"
    if frequent := _known(column):
        first = frequent[0]
        return f"{text(first['value'], 20)} {share(first['count'], column['count'])}"
    return ""


def _details(column: dict[str, Any]) -> str:
    kind = column["kind"]
    parts = [definitions([("values", number(column["count"])), *_facts(column, kind)])]
    if "quantiles" in column:
        shown = [("least", column["min"])]
        shown += [(f"{float(q):.0%}", v) for q, v in column["quantiles"].items()]
        shown += [("greatest", column["max"])]
        parts.append(definitions([(q, place(v, kind)) for q, v in shown]))
    if "histogram" in column:
        large = bars(column["histogram"]["counts"], 300, 120, f"histogram of {column['name']}")
        parts.insert(0, f'{large}<div class="s">{_caption(column)}</div>')
    if frequent := _known(column):
        whole = max(column["count"], 1)
        lines = []
        for v in frequent:
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
        facts.append(("tells the target", decimals(column["leak"]["score"])))
    return facts
