"""The report of a job: one page made of its metrics and of what lies in its output folder."""

from __future__ import annotations

import dataclasses
import datetime
import logging
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from sparkml_dist.dataset.manifest import MANIFEST
from sparkml_dist.dataset.partitioned import open_partitioned
from sparkml_dist.errors import SparkMLDistError
from sparkml_dist.html.summary import Row
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.html import render, write_page
from sparkml_dist.report.model_report import ModelReport
from sparkml_dist.report.pictures import Picture

__all__ = ["write_job_report"]

_logger = logging.getLogger(__name__)

#: Most pictures on a page; a deep ensemble draws one for each member.
_MOST_PICTURES = 24
#: The order of the pictures; others follow by name.
_FIRST = ("confusion_matrix", "predicted_and_true", "reliability", "metrics_by", "accuracy_by")
#: Seconds that are part of a stage, or sums over members, and not stages themselves.
_INNER = {
    "member_fit": "summed over members",
    "train": "by the ranks, within the fit",
    "total": "",
}
#: What has a section of its own, or is too long for one line.
_SHOWN = {
    *("job", "status", "run_id", "rows", "features", "classes", "seconds", "metrics", "memory"),
    *("versions", "started", "arguments", "warnings", "error", "intervals", "output", "report"),
    *("test_rows", "shards", "leaderboard", "left", "reliability", "curve"),
    *("model", "ledger", "by_silo"),
}


def write_job_report(
    folder: Folder,
    metrics: Mapping[str, Any],
    name: str = "report.html",
    *,
    model: ModelReport | None = None,
) -> None:
    """Write the report of a job as one self-contained page, without scripts or links.

    A page that cannot be made is logged and left out: it never fails a job.

    Parameters
    ----------
    folder : Folder
        Output folder of the job; the pictures in ``plots/`` become part of the page.
    metrics : mapping
        The metrics document, as in ``metrics.json``.
    name : str
        File name of the page.
    model : ModelReport, optional
        What else is known of the model.
    """
    try:
        write_page(folder.uri(name), render("job_report.html", **_values(folder, metrics, model)))
    except Exception as error:  # a page must not fail the job
        _logger.warning("the report was not written: %s", error, exc_info=True)


def _values(
    folder: Folder, metrics: Mapping[str, Any], model: ModelReport | None
) -> dict[str, Any]:
    """Return the values of the template."""
    about = (model or ModelReport("")).values()
    seconds, output = metrics["seconds"], _output(metrics)
    stages = {k: v for k, v in seconds.items() if k not in _INNER}
    pictures, more_pictures = _pictures(folder)
    return about | {
        "title": f"{metrics['job']}: {'ok' if metrics['status'] == 'ok' else 'failed'}",
        "job": metrics["job"],
        "error": metrics.get("error"),
        "run": {
            "started": metrics["started"].replace("T", " ").replace("+00:00", " UTC"),
            "run": metrics["run_id"],
        },
        "total": seconds.get("total") or _since(metrics["started"]),
        "metrics": metrics["metrics"] or about["metrics"],
        "intervals": metrics.get("intervals") or {},
        "evaluated_on": _evaluated_on(metrics),
        "command": _command(metrics["job"], metrics["arguments"]),
        "warnings": metrics["warnings"],
        "data": list(_data(folder, metrics, output)),
        "found": dict(_found(metrics)),
        "counts": {
            k.replace("_", " "): v
            for k, v in metrics.items()
            if k.endswith("_by_size") and isinstance(v, Mapping) and v
        },
        "silos": _silos(metrics),
        "ledger": metrics.get("ledger") or [],
        "pictures": [*pictures, *_unlike(about["pictures"], pictures)],
        "more_pictures": more_pictures,
        "stages": stages,
        "slowest": max(stages.values(), default=0),
        "inner": [(k, v, _INNER[k]) for k, v in seconds.items() if _INNER.get(k)],
        "peak": metrics["memory"]["peak_worker_rss_mb"],
        "output": output,
        "scoring": _scoring(metrics, output),
        "versions": metrics["versions"],
        "settings": {},
        "evaluated": metrics["status"] == "ok",
    }


def _since(started: str) -> float:
    """Return the seconds since a time; stages may lie within each other, and do not add up."""
    began = datetime.datetime.fromisoformat(started)
    return (datetime.datetime.now(datetime.UTC) - began).total_seconds()


def _command(job: str, arguments: list[str]) -> str:
    """Return the command line, an option to a line."""
    lines = [f"jobs/{job}.py"]
    for text in arguments:
        if text.startswith("--"):
            lines.append(shlex.quote(text))
        else:
            lines[-1] += f" {shlex.quote(text)}"
    return " \\\n    ".join(lines)


def _evaluated_on(metrics: Mapping[str, Any]) -> str:
    if (rows := metrics.get("test_rows")) is not None:
        return f"{rows:,} held-out rows, which the model has not seen"
    if metrics["metrics"] and "rows_without_label" in metrics:
        return f"{metrics['rows'] - metrics['rows_without_label']:,} rows with a label"
    return ""


def _output(metrics: Mapping[str, Any]) -> dict[str, str]:
    """Return the locations of what the job wrote, by name."""
    found = metrics.get("output") or {}
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, Mapping) else {}


def _data(folder: Folder, metrics: Mapping[str, Any], output: Mapping[str, str]) -> Iterator[Row]:
    """Return what is known of the rows: the shards, or else their numbers."""
    written = output.get("shards", "")
    places = [folder.child("shards")] + ([Folder.at(written)] if written else [])
    for place in places:
        try:
            if place.exists(MANIFEST):
                rows = open_partitioned(place.location)._shown()
                # Those in the folder of a run that replaces another are moved when it is complete.
                for row in rows:
                    moved = written and row.name == "folder"
                    yield dataclasses.replace(row, code=[written]) if moved else row
                return
        except SparkMLDistError:
            _logger.debug("no shards to report on", exc_info=True)
    for name in ("rows", "features", "classes"):
        if metrics.get(name):
            yield Row(name, f"{metrics[name]:,}")


def _found(metrics: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Return the results that have no section of their own, by name."""
    for name, value in metrics.items():
        if name not in _SHOWN and not name.endswith("_by_size"):
            yield from _flat(name.replace("_", " "), value)


def _silos(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the scores of each silo, the worst first."""
    found = metrics.get("by_silo") or {}
    if not found:
        return []
    best_last = found["metric"] == "accuracy"
    lines = [{"silo": name, **scores} for name, scores in found["silos"].items()]
    return sorted(lines, key=lambda s: s[found["metric"]] * (1 if best_last else -1))


def _flat(name: str, value: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Return a value by its name, or the values of an object by theirs, to a depth of two."""
    if isinstance(value, Mapping):
        for key, inner in value.items() if depth < 2 else ():
            if key == "peak_worker_rss":  # shown as peak memory
                continue
            yield from _flat(f"{name}: {str(key).replace('_', ' ')}", inner, depth + 1)
    elif isinstance(value, list):
        if value and not any(isinstance(item, Mapping | list) for item in value):
            yield name, ", ".join(map(str, value[:20])) + (", …" if len(value) > 20 else "")
    elif value is not None:
        yield name, value


def _pictures(folder: Folder) -> tuple[list[Picture], int]:
    """Return the plots of the job, and how many there are besides."""
    plots = folder.child("plots")
    names = [name for name in plots.names(".png") if "/" not in name] if plots.exists() else []

    def order(name: str) -> tuple[int, str]:
        first = [i for i, head in enumerate(_FIRST) if name.startswith(head)]
        return (first or [len(_FIRST)])[0], name

    shown = sorted(names, key=order)[:_MOST_PICTURES]
    pictures = [Picture(_title(name), plots.read_bytes(name)) for name in shown]
    return pictures, len(names) - len(shown)


def _title(name: str) -> str:
    words = name.removesuffix(".png").replace("_", " ")
    return words[:1].upper() + words[1:]


def _unlike(pictures: list[Picture], others: list[Picture]) -> list[Picture]:
    """Return the pictures without those whose titles others have."""
    titles = {p.title for p in others}
    return [p for p in pictures if p.title not in titles]


def _scoring(metrics: Mapping[str, Any], output: Mapping[str, str]) -> dict[str, str]:
    """Return how to use the model, where the job saved one."""
    model = output.get("model")
    if not model or metrics["status"] != "ok":
        return {}
    return {
        "of a file": f"spark-submit jobs/score.py --model {shlex.quote(model)} \\\n"
        "    --input NEW_ROWS --output PREDICTIONS",
        "in Python": "from sparkml_dist import load_model\n\n"
        f"load_model({model!r}).transform(new_rows)",
    }
