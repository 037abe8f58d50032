"""The report of an algorithm selection: scores, pictures and importances on unseen rows."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from sparkml_dist.automl.table_column import TableColumn
from sparkml_dist.errors import SparkMLDistError
from sparkml_dist.metrics.evaluation import evaluate_classification
from sparkml_dist.metrics.regression import evaluate_regression
from sparkml_dist.metrics.reliability import reliability
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import versions
from sparkml_dist.report.model_report import Candidate, FeatureFacts, ModelReport
from sparkml_dist.report.pictures import Picture
from sparkml_dist.report.plots.confusion import plot_confusion
from sparkml_dist.report.plots.partial_dependence import plot_partial_dependence
from sparkml_dist.report.plots.regression import plot_regression
from sparkml_dist.report.plots.reliability import plot_reliability
from sparkml_dist.report.plots.score_curves import plot_precision_recall, plot_roc

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from sparkml_dist.metrics.permutation import PermutationImportance

__all__ = ["model_report", "write_report"]

_logger = logging.getLogger(__name__)

_MOST_FEATURES, _SHOWN_DEPENDENCE, _MOST_CLASSES = 60, 6, 60
_ROWS, _DEPENDENCE_ROWS, _REPEATS = 3_000, 1_000, 3


def write_report(model: Any, path: str, df: DataFrame, *, title: str, card: str | None) -> str:
    """Write the report of a model as a page, and its card beside it; see `AutoModel.writeReport`.

    A picture that the rows do not allow, such as a ROC curve where a class is missing, is left out.
    """
    report = model_report(model, df, title)
    report.to_html(path)
    report.to_markdown(card or f"{path.removesuffix('.html').removesuffix('.htm')}.md")
    return path


def model_report(model: Any, df: DataFrame, title: str = "") -> ModelReport:
    """Return the report of a model on rows that it has not seen; see `AutoModel.writeReport`."""
    scored = model.transform(df).persist()
    try:
        return _report(model, df, scored, title)
    finally:
        scored.unpersist()


def _report(model: Any, df: DataFrame, scored: DataFrame, title: str) -> ModelReport:
    label, content = model.label, model.content
    metrics, pictures, rows = _evaluated(model, df, scored)
    importance = _importance(model, df)
    if importance is not None:
        pictures += _dependence(model, df, importance)
    table = model.leaderboardTable()
    used = [row for row in table if row["weight"] > 0]
    families = ", ".join(dict.fromkeys(str(row["family"]) for row in used))
    best = next((row for row in table if row["score"] is not None), None)
    counts = content["class_rows"]
    return ModelReport(
        title=title or f"Model of {label.column}",
        summary=(
            f"An ensemble of {len(used)} of {len(table)} trials ({families}), {_how(model)} on "
            f"{content['scored_rows']:,} rows that they have not seen."
        ),
        facts={
            "label": label.column,
            "task": "regression" if label.is_regression else "classification",
            "training rows": content["rows"],
            "features": model.numFeatures,
            "selected by": model.metric,
            "validation": f"{content['folds']} folds" if content["folds"] else "hold-out",
            "seconds": model.summary["seconds"].get("fit"),
            "peak memory of a worker, MiB": model.summary.get("peak_worker_rss_mb"),
            "peak memory of the driver's Python, MiB": model.summary.get("peak_driver_rss_mb"),
            "best single trial": None if best is None else round(best["score"], 6),
            "ensemble, on the same rows": model.scores.get(model.metric),
        },
        metric=model.metric,
        metrics=metrics,
        evaluated_on=f"{rows:,} rows that were passed to writeReport",
        leaderboard=[_candidate(row) for row in table],
        left=model.tried,
        features=_features(model, importance),
        classes={str(c): float(n) for c, n in zip(label.classes, counts, strict=False)},
        alerts=model.alerts,
        limitations=_limitations(model),
        pictures=pictures,
        settings={"metric": model.metric, "folds": content["folds"]},
        versions=dict(versions("joblib", "threadpoolctl")),
    )


def _how(model: Any) -> str:
    """Return how the ensemble's weights were found, in words."""
    stacked = model.summary.get("ensemble", {}).get("method") == "stacked"
    return "weighted for the least loss" if stacked else f"selected by {model.metric}"


def _candidate(row: dict[str, Any]) -> Candidate:
    score, memory = row["score"], row.get("peakRssMb")
    notes = [f"weight {row['weight']:.2f}" if row["weight"] else row["reason"][:120]]
    if memory:
        notes.append(f"{memory:,.0f} MiB")
    return Candidate(
        name=f"{row['family']} {row['trial']}",
        score=score,
        metrics={k: v for k, v in row["scores"].items() if v != score},
        seconds=row["seconds"],
        settings=json.loads(row["params"]),
        note="; ".join(filter(None, notes)),
        chosen=row["weight"] > 0,
    )


def _evaluated(
    model: Any, df: DataFrame, scored: DataFrame
) -> tuple[dict[str, float | None], list[Picture], int]:
    """Return scores on the rows, pictures of them, and the number of rows."""
    label, pictures = model.label, list[Picture]()
    prediction = model.getOrDefault("predictionCol")
    if label.is_regression:
        found = evaluate_regression(scored, label_col=label.column, prediction_col=prediction)
        with _drawn(pictures, "Predicted against true values") as draw:
            draw(
                lambda f, n: plot_regression(scored, label.column, f, n, prediction_col=prediction)
            )
        return found.to_dict(), pictures, found.rows
    named: dict[str, Any] = {
        "label_col": label.column,
        "classes": label.classes,
        "probability_col": model.getOrDefault("probabilityCol"),
    }
    scores = evaluate_classification(scored, prediction_col=prediction, **named)
    with _drawn(pictures, "ROC curve", "Precision and recall") as draw:
        curves = model.scoreCurves(df)
        draw(lambda f, n: plot_roc(curves, f, n))
        draw(lambda f, n: plot_precision_recall(curves, f, n))
    with _drawn(pictures, "Calibration") as draw:
        curve = reliability(scored, **named)
        draw(lambda f, n: plot_reliability(curve, f, n))
    if len(label.classes) <= _MOST_CLASSES:
        with _drawn(pictures, "Confusion matrix") as draw:
            draw(lambda f, n: plot_confusion(scores.confusion, label.classes, f, n))
    return scores.to_dict(), pictures, scores.rows


def _importance(model: Any, df: DataFrame) -> PermutationImportance | None:
    """Return the permutation importance of the features that matter to the members most."""
    chosen = None
    names = model.schema.feature_names
    if len(names) > _MOST_FEATURES:
        chosen = list(names[:_MOST_FEATURES])
        try:
            own = _base(model).featureImportances
            chosen = sorted(own, key=lambda n: -own[n])[:_MOST_FEATURES]
        except SparkMLDistError:
            pass  # no member has importances of its own
    try:
        return model.permutationImportance(
            df, metric=_metric(model), repeats=_REPEATS, maxRows=_ROWS, features=chosen
        )
    except SparkMLDistError as error:
        _logger.warning("no permutation importance: %s", error)
        return None


def _metric(model: Any) -> str:
    return model.metric if model.metric != "r2" else "rmse"


def _base(model: Any) -> Any:
    inner = model.bestModel
    return getattr(inner, "base", inner)


def _dependence(model: Any, df: DataFrame, importance: PermutationImportance) -> list[Picture]:
    pictures: list[Picture] = []
    order = np.argsort(-importance.mean, kind="stable")
    names = [importance.features[i] for i in order[:_SHOWN_DEPENDENCE] if importance.mean[i] > 0]
    if names:
        with _drawn(pictures, "Partial dependence") as draw:
            found = model.partialDependence(df, features=names, maxRows=_DEPENDENCE_ROWS)
            draw(lambda f, n: plot_partial_dependence(found, f, n))
    return pictures


def _features(model: Any, importance: PermutationImportance | None) -> list[FeatureFacts]:
    measured = (
        {}
        if importance is None
        else dict(zip(importance.features, importance.mean.tolist(), strict=True))
    )
    alerts: dict[str, list[str]] = {}
    for name, text in model.alerts:
        alerts.setdefault(name, []).append(text)
    if model.features is None:
        return [
            FeatureFacts(c.name, c.kind, c.kind, importance=_sum(measured, c.feature_names()))
            for c in model.schema.columns
        ]
    by_name = {c.name: c.feature_names() for c in model.schema.columns}
    found = [
        FeatureFacts(
            c.name,
            c.role,
            _use(c),
            c.missing,
            _sum(measured, [n for o in c.outputs for n in by_name.get(o, [])]),
            alerts.get(c.name, ()),
        )
        for c in model.features.columns
    ]
    dropped = model.features.dropped.items()
    return found + [
        FeatureFacts(name, "", f"left out: {why}", 0.0, None, alerts.get(name, ()))
        for name, why in dropped
    ]


def _use(column: TableColumn) -> str:
    if column.parts:
        return ", ".join(column.parts)
    return f"{column.width} hashed words" if column.role == "text" else column.role


def _sum(measured: dict[str, float], names: list[str]) -> float | None:
    found = [measured[n] for n in names if n in measured]
    return sum(found) if found else None


def _limitations(model: Any) -> list[str]:
    found = []
    counts = model.content["class_rows"]
    rare = [str(c) for c, n in zip(model.label.classes, counts, strict=False) if n < 30]
    if rare:
        found.append(
            f"Fewer than 30 training rows have the class {', '.join(rare[:10])}: scores of these "
            "classes are uncertain."
        )
    if model.content["scored_rows"] < 1_000:
        found.append(
            f"The ensemble was selected on {model.content['scored_rows']:,} rows: its score there "
            "is uncertain, and a little too good."
        )
    leaks = [name for name, text in model.alerts if "leak" in text]
    if leaks:
        found.append(
            f"{', '.join(leaks[:5])} alone predict the label nearly perfectly: check whether they "
            "are known when the model is used."
        )
    return found


@contextmanager
def _drawn(
    pictures: list[Picture], *titles: str
) -> Iterator[Callable[[Callable[[Folder, str], Any]], None]]:
    """Yield a function that adds what is drawn to the pictures; an error leaves it out."""
    with tempfile.TemporaryDirectory(prefix="sparkml_dist-report-") as place:
        folder, left = Folder.at(place), list(titles)

        def draw(plot: Callable[[Folder, str], Any]) -> None:
            plot(folder, "picture.png")
            pictures.append(Picture(left.pop(0), folder.read_bytes("picture.png")))

        try:
            yield draw
        except SparkMLDistError as error:
            _logger.warning("no picture %r: %s", left[0], error)
