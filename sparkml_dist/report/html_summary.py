"""A fitted model at a glance: a small table that notebooks show, without scripts or links."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from sparkml_dist.models.shard_model import ShardModel
from sparkml_dist.report.plots.figure import COLOURS

__all__ = ["HasHtmlSummary", "html_summary"]

_SHOWN_CLASSES = 8
_SHOWN_FEATURES = 6
# Notebooks may be light or dark: only translucent greys, and the page's own ink.
_CELL = "padding:2px 12px 2px 0;text-align:left;vertical-align:top;border:0;background:none"
_TABLE = "border-collapse:collapse;border:0;font-size:13px;line-height:1.45;margin:4px 0"
_NAME = "font-weight:normal;white-space:nowrap"
_QUIET = "opacity:.65"


class HasHtmlSummary:
    """Mixin of the models that notebooks show as a small table."""

    def _repr_html_(self: Any) -> str:
        """Return what notebooks show in place of `repr`."""
        return html_summary(self)


def html_summary(model: ShardModel) -> str:
    """Return what is known of a fitted model as an HTML fragment.

    Nothing is computed for it, and everything that stands in it is escaped.

    Parameters
    ----------
    model : ShardModel

    Returns
    -------
    str
        A ``div`` that holds all its style.
    """
    rows = "".join(
        f'<tr style="background:none"><th style="{_CELL};{_NAME};{_QUIET}">'
        f'{escape(name)}</th><td style="{_CELL}">{content}</td></tr>'
        for name, content in _rows(model)
        if content
    )
    title = f"<strong>{escape(type(model).__name__)}</strong>"
    text = f'<div>{title}<table style="{_TABLE}"><tbody>{rows}</tbody></table></div>'
    # A fragment cannot say how it is encoded: in ASCII it need not.
    return text.encode("ascii", "xmlcharrefreplace").decode()


def _rows(model: ShardModel) -> Iterator[tuple[str, str]]:
    """Yield names (text) and contents (HTML)."""
    summary, content = model.summary, model.content
    yield "predicts", _target(model)
    yield "features", _features(model)
    yield "members", _members(summary, content)
    yield "voting", escape(str(content.get("voting", "")))
    yield "rows to a member", _rows_to_a_member(summary)
    if isinstance(summary.get("ranks"), list):
        yield "ranks", f"{len(summary['ranks'])}"
    if "parameters" in summary:
        yield "parameters", f"{summary['parameters']:,}"
    if summary.get("history"):
        yield "epochs", _history(summary)
    if "calibration" in content:
        yield "calibration", _calibration(summary, content)
    if "oob" in summary:
        oob = summary["oob"]
        judged = _quiet(f"({oob['rows']:,} rows)")
        yield "out of bag", f"{_metrics(oob['metrics'])} {judged}"
    if "curve" in summary:
        yield "stopping curve", _curve(summary["curve"])
    if found := vars(model).get("_importances"):
        yield "importances", _importances(found)
    yield "seconds", _seconds(summary.get("seconds"))
    if "peak_worker_rss_mb" in summary:
        yield "peak memory", f"{summary['peak_worker_rss_mb']:,.0f} MiB in a worker"
    yield "folder", f"<code>{escape(model.folder.location)}</code>"


def _quiet(text: str) -> str:
    return f'<span style="{_QUIET}">{escape(text)}</span>'


def _target(model: ShardModel) -> str:
    if outputs := model.content.get("facts", {}).get("outputs"):
        return ", ".join(f"<code>{escape(o['name'])}</code>" for o in outputs)
    label = model.label
    column = f"<code>{escape(label.column)}</code>"
    if label.is_regression:
        return f"{column}, a number"
    shown = ", ".join(escape(str(c)) for c in label.classes[:_SHOWN_CLASSES])
    more = ", …" if len(label.classes) > _SHOWN_CLASSES else ""
    return f"{column}, {len(label.classes)} classes: {shown}{more}"


def _features(model: ShardModel) -> str:
    categories = len(model.schema.categorical_features)
    some = f", {categories:,} of them categories" if categories else ""
    sparse = ", sparse" if model.schema.layout == "sparse" else ""
    return f"{model.numFeatures:,}{some}{sparse}"


def _members(summary: Mapping[str, Any], content: Mapping[str, Any]) -> str:
    members = content.get("members")
    if not isinstance(members, list):
        return ""
    counts = Counter(str(r["learner"]) for r in _records(summary) if "learner" in r)
    if len(counts) == 1:
        return f"{len(members):,} × {escape(next(iter(counts)))}"
    kinds = ", ".join(f"{n:,} × {escape(name)}" for name, n in counts.most_common())
    return f"{len(members):,}: {kinds}" if kinds else f"{len(members):,}"


def _records(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    members = summary.get("members")
    found = members if isinstance(members, list) else []
    return [r for r in found if isinstance(r, Mapping)]


def _rows_to_a_member(summary: Mapping[str, Any]) -> str:
    rows = [r["bag_rows"] for r in _records(summary) if r.get("bag_rows") is not None]
    if not rows:
        return ""
    least, most = min(rows), max(rows)
    return f"{least:,.0f}" if least == most else f"{least:,.0f} to {most:,.0f}"


def _calibration(summary: Mapping[str, Any], content: Mapping[str, Any]) -> str:
    rows = summary.get("calibration", {}).get("rows")
    on = f", on {rows:,} rows" if rows else ""
    return escape(f"{content['calibration']['method']} of a {content.get('base', 'model')}{on}")


def _metrics(metrics: Mapping[str, Any]) -> str:
    shown = [(k, v) for k, v in metrics.items() if isinstance(v, int | float)]
    return ", ".join(f"{escape(k.replace('_', ' '))} {v:.4g}" for k, v in shown)


def _seconds(seconds: Any) -> str:
    if isinstance(seconds, int | float):
        return f"{seconds:,.1f}"
    if not isinstance(seconds, Mapping):
        return ""
    shown = [(k, v) for k, v in seconds.items() if isinstance(v, int | float)]
    return ", ".join(f"{escape(k.replace('_', ' '))} {v:,.1f}" for k, v in shown)


def _curve(curve: Mapping[str, Any]) -> str:
    best = int(curve["best"])
    text = (
        f"{escape(curve['metric'].replace('_', ' '))} {curve['scores'][best - 1]:.4f} with {best}"
        f" of {len(curve['scores'])} members"
    )
    kept = _quiet(f"({curve['rows']:,} kept rows)")
    return f"{_sparkline(curve['scores'], best - 1)} {text} {kept}"


def _history(summary: Mapping[str, Any]) -> str:
    """Return the loss by epoch, validation's where there is one, and the epoch that was kept."""
    history = summary["history"]
    name = "val_loss" if history.get("val_loss") else "loss"
    values = history.get(name) or []
    if not values:
        return ""
    best = summary.get("best_epoch")
    kept = len(values) - 1 if best is None else int(best)
    told = f"{len(values)}; {escape(name)} {values[kept]:.4g}"
    where = "" if best is None else _quiet(f" in epoch {kept + 1}, the best")
    return f"{_sparkline(values, kept, of='loss against number of epochs')} {told}{where}"


def _sparkline(
    values: Sequence[float],
    marked: int,
    width: int = 180,
    height: int = 36,
    of: str = "score against number of members",
) -> str:
    """Return a line as SVG, one of its points marked; points that are not finite are left out."""
    points = [(i, float(v)) for i, v in enumerate(values) if v is not None and math.isfinite(v)]
    if not points:
        return ""
    low, high = min(v for _, v in points), max(v for _, v in points)
    margin = 4

    def place(i: int, v: float) -> tuple[float, float]:
        x = margin + (width - 2 * margin) * i / max(len(values) - 1, 1)
        share = (v - low) / (high - low) if high > low else 0.5
        return round(x, 1), round(height - margin - (height - 2 * margin) * share, 1)

    line = " ".join("{},{}".format(*place(i, v)) for i, v in points)
    dots = [place(i, v) for i, v in points if i == marked]
    circles = "".join(f'<circle cx="{x}" cy="{y}" r="3" fill="{COLOURS[5]}"/>' for x, y in dots)
    return (
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(of)}" style="vertical-align:middle">'
        f'<polyline points="{line}" fill="none" stroke="{COLOURS[0]}" stroke-width="1.5"/>'
        f"{circles}</svg>"
    )


def _importances(found: Mapping[str, float]) -> str:
    ranked = sorted(found.items(), key=lambda item: -item[1])[:_SHOWN_FEATURES]
    most = max(ranked[0][1], 1e-12)
    lines = []
    for name, share in ranked:
        bar = (
            f'<span style="display:inline-block;height:9px;width:{90 * share / most:.0f}px;'
            f'background:{COLOURS[0]};margin-right:6px"></span>'
        )
        lines.append(f"<div>{bar}{escape(name)} {_quiet(f'{share:.3f}')}</div>")
    return "".join(lines)
