"""Makes the model of a search of what its engine has recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile
from sparkml_dist.search.engine import Engine
from sparkml_dist.search.model import TRIALS_FILE, HyperparameterSearchModel
from sparkml_dist.search.trial_table import params_json, peak_rss_mb, trial_rows

__all__ = ["search_model"]


def search_model(
    data: PartitionedDataset,
    folder: Folder,
    engine: Engine,
    best: tuple[int, int],
    metrics: Sequence[str],
    resource: str,
    files: Sequence[ModelFile],
    chosen: Mapping[str, Any],
    summary: Mapping[str, Any],
) -> HyperparameterSearchModel:
    """Write the table of trials; return the model, which is not saved yet.

    Parameters
    ----------
    data : PartitionedDataset
    folder : Folder
        Of the model.
    engine : Engine
        After its run.
    best : tuple of int
        Trial and rung of the best record.
    metrics : sequence of str
        The one that decided first.
    resource : str
        What trials got more of from rung to rung.
    files : sequence of ModelFile
        Of the model that the search ended with; empty for none.
    chosen : mapping
        How an ensemble was chosen; empty for none.
    summary : mapping
        ``seconds`` by stage, and further entries of the model's summary.
    """
    rows = trial_rows(engine.records, engine.jobs, metrics[0])
    folder.write_json(TRIALS_FILE, {"trials": rows})
    record, setting = engine.records[best], engine.jobs[best].setting
    return HyperparameterSearchModel(
        folder,
        data.schema,
        data.manifest.label,
        [*files, ModelFile.of(folder, TRIALS_FILE)],
        {
            "refit": bool(files),
            "metrics": list(metrics),
            "resource": resource,
            "rungs": list(engine.sequencer.scheduler.resources),
            "ensemble": dict(chosen),
            "best": {
                "trial": best[0],
                "rung": best[1],
                "estimator": setting.estimator,
                "params": json.loads(params_json(setting.params)),
                "score": record["scores"][metrics[0]],
                "scores": record["scores"],
            },
        },
        {
            **summary,
            "trials": len(rows),
            "failed": sum(r["state"] not in ("done", "deadline") for r in rows),
            "out_of_time": engine.out_of_time,
            "peak_worker_rss_mb": peak_rss_mb(engine.records.values()),
            "seconds": {
                **summary["seconds"],
                "member_fit": round(sum(r["seconds"] for r in rows), 3),
            },
        },
    )
