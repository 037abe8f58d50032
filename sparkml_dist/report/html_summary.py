"""A summary of a fitted model: a small HTML table for notebooks, without scripts or links."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from sparkml_dist.html.summary import Row, ShowsItself, numbers
from sparkml_dist.models.shard_model import ShardModel

__all__ = ["HasHtmlSummary"]

_SHOWN_CLASSES = 8
_SHOWN_FEATURES = 6


class HasHtmlSummary(ShowsItself):
    """Mixin of the fitted models of shards that notebooks show as a table."""

    def _shown(self: Any) -> Iterator[Row]:
        return _rows(self)


def _rows(model: ShardModel) -> Iterator[Row]:
    summary, content = model.summary, model.content
    yield _target(model)
    yield Row("features", _features(model))
    yield Row("members", _members(summary, content))
    yield Row("voting", str(content.get("voting", "")))
    yield Row("rows per member", _rows_to_a_member(summary))
    if isinstance(summary.get("ranks"), list):
        yield Row("ranks", f"{len(summary['ranks'])}")
    if "parameters" in summary:
        yield Row("parameters", f"{summary['parameters']:,}")
    if summary.get("history"):
        yield _history(summary)
    if "calibration" in content:
        yield Row("calibration", _calibration(summary, content))
    if "oob" in summary:
        oob = summary["oob"]
        yield Row("out of bag", numbers(oob["metrics"], ".4g"), f"({oob['rows']:,} rows)")
    if "curve" in summary:
        yield _curve(summary["curve"])
    if found := vars(model).get("_importances"):
        ranked = sorted(found.items(), key=lambda item: -item[1])[:_SHOWN_FEATURES]
        yield Row("importances", shares=ranked)
    yield Row("seconds", _seconds(summary.get("seconds")))
    if "peak_worker_rss_mb" in summary:
        yield Row("peak memory", f"{summary['peak_worker_rss_mb']:,.0f} MiB in a worker")
    yield Row("folder", code=[model.folder.location])


def _target(model: ShardModel) -> Row:
    if outputs := model.content.get("facts", {}).get("outputs"):
        return Row("predicts", code=[o["name"] for o in outputs])
    label = model.label
    if label.is_regression:
        return Row("predicts", ", a number", code=[label.column])
    shown = ", ".join(str(c) for c in label.classes[:_SHOWN_CLASSES])
    more = ", …" if len(label.classes) > _SHOWN_CLASSES else ""
    text = f", {len(label.classes)} classes: {shown}{more}"
    return Row("predicts", text, code=[label.column])


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
        return f"{len(members):,} × {next(iter(counts))}"
    kinds = ", ".join(f"{n:,} × {name}" for name, n in counts.most_common())
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
    return f"{content['calibration']['method']} of a {content.get('base', 'model')}{on}"


def _seconds(seconds: Any) -> str:
    if isinstance(seconds, int | float):
        return f"{seconds:,.1f}"
    return numbers(seconds, ",.1f") if isinstance(seconds, Mapping) else ""


def _curve(curve: Mapping[str, Any]) -> Row:
    best, scores = int(curve["best"]), curve["scores"]
    return Row(
        "stopping curve",
        f"{curve['metric'].replace('_', ' ')} {scores[best - 1]:.4f} with {best}"
        f" of {len(scores)} members",
        f"({curve['rows']:,} held-out rows)",
        values=scores,
        marked=best - 1,
        axes="score against number of members",
    )


def _history(summary: Mapping[str, Any]) -> Row:
    """Return the loss by epoch or round (if available, that of the validation) and the best one."""
    history = {k: v for k, v in summary["history"].items() if v}
    boosted = "rounds" in summary
    unit = "round" if boosted else "epoch"
    # A network's loss; of a boosted model, the metric that it stops by, which is the last.
    names = [name for name in history if boosted or name in ("loss", "val_loss")]
    held_out = [name for name in names if name.startswith("val_")]
    if not names:
        return Row(f"{unit}s")
    name = (held_out or names)[-1]
    values = history[name]
    best = summary.get(f"best_{unit}")
    kept = len(values) - 1 if best is None else int(best)
    return Row(
        f"{unit}s",
        f"{len(values)}; {name} {values[kept]:.4g}",
        "" if best is None else f"in {unit} {kept + 1}, the best",
        values=values,
        marked=kept,
        axes=f"loss against number of {unit}s",
    )
