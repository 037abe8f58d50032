"""What is logged of a fit: Params, tags, numbers, pictures, the summary and the model."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.mlflow.pictures import draw_fit
from sparkml_dist.mlflow.server import mlflow_package
from sparkml_dist.mlflow.values import Point, points_of, text_of
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.version import __version__

__all__ = ["RunRecord", "children_of", "facts_of", "shard_tags", "spark_tags"]

# What a server takes in one request.
_PARAMS, _METRICS, _TAGS = 100, 1000, 100
_DIGEST = 32


class RunRecord:
    """A run to log in, by its id.

    Parameters
    ----------
    run_id : str
    """

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self._client = mlflow_package().MlflowClient()

    def experiment(self) -> str:
        """Return the id of the run's experiment."""
        return str(self._client.get_run(self.run_id).info.experiment_id)

    def write(
        self,
        *,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        points: Sequence[Point] = (),
    ) -> None:
        """Log params, tags and numbers in as few requests as there can be."""
        from mlflow.entities import Metric, Param, RunTag

        now = int(time.time() * 1000)
        own = [Param(k, v) for k, v in (params or {}).items()]
        named = [RunTag(k, v) for k, v in (tags or {}).items()]
        measured = [Metric(p.name, p.value, now, p.step) for p in points]
        while own or named or measured:
            self._client.log_batch(
                self.run_id,
                params=own[:_PARAMS],
                tags=named[:_TAGS],
                metrics=measured[: _METRICS - _PARAMS - _TAGS],
            )
            own, named = own[_PARAMS:], named[_TAGS:]
            measured = measured[_METRICS - _PARAMS - _TAGS :]

    def write_shards(self, data: PartitionedDataset) -> None:
        """Log the shards as the data set of the run."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(
            name=data.folder.name[:500],
            digest=data.manifest.content_sha256[:_DIGEST],
            source_type="sparkml_dist",
            source=json.dumps({"uri": data.location}),
            profile=json.dumps({"rows": data.n_rows, "features": data.n_features}),
        )
        inputs = [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])]
        self._client.log_inputs(self.run_id, datasets=inputs)

    def write_summary(self, model: Any, *, pictures: bool) -> None:
        """Log what a model knows of its fit: the numbers, all as JSON, and pictures."""
        summary = facts_of(model)
        self.write(points=points_of(summary))
        with tempfile.TemporaryDirectory(prefix="sparkml_dist-mlflow-") as name:
            path = Path(name)
            path.joinpath("summary.json").write_text(
                json.dumps(summary, indent=1, default=text_of), encoding="utf-8"
            )
            if pictures:
                draw_fit(model, summary, Folder.at(path / "plots"))
            self._client.log_artifacts(self.run_id, str(path))

    def write_folder(self, path: Path, name: str | None = None) -> None:
        """Log the files of a local folder."""
        self._client.log_artifacts(self.run_id, str(path), name)

    def write_children(self, children: Sequence[tuple[str, dict[str, Any], bool]]) -> None:
        """Log a run below this one for each member or trial.

        Parameters
        ----------
        children : sequence of (str, dict, bool)
            Name, what is known of it, and whether it ended well.
        """
        experiment = self.experiment()
        for name, facts, good in children:
            tags = {"mlflow.parentRunId": self.run_id}
            made = self._client.create_run(experiment, tags=tags, run_name=name)
            child = RunRecord(made.info.run_id)
            texts = {k: v for k, v in facts.items() if isinstance(v, str | list | bool)}
            given = facts.get("params")
            if isinstance(given, dict):
                texts |= {f"params.{k}": v for k, v in given.items()}
            numbers = {k: v for k, v in facts.items() if k not in texts and k != "params"}
            child.write(
                params={k: text_of(v) for k, v in texts.items() if v not in ("", [])},
                points=points_of(numbers),
            )
            self._client.set_terminated(made.info.run_id, "FINISHED" if good else "FAILED")


def facts_of(model: Any) -> dict[str, Any]:
    """Return what a model knows of its fit: its summary, or for a model of tables its counts."""
    summary = getattr(model, "summary", None)
    if isinstance(summary, dict):
        return summary
    content = getattr(model, "content", None)
    return content if isinstance(content, dict) else {}


def children_of(model: Any) -> list[tuple[str, dict[str, Any], bool]]:
    """Return the trials of a search, or the members of an ensemble."""
    if hasattr(model, "trialsTable"):
        return [
            (f"trial {t['number']}", {k: v for k, v in t.items() if k != "trace"}, _is_done(t))
            for t in model.trialsTable()
        ]
    members = facts_of(model).get("members")
    if not isinstance(members, list):
        return []
    return [(f"member {m.get('member', i)}", m, True) for i, m in enumerate(members)]


def _is_done(trial: Mapping[str, Any]) -> bool:
    return trial["state"] == "done"


def shard_tags(data: PartitionedDataset) -> dict[str, str]:
    """Return the tags that tell of the data of a fit."""
    return {
        "sparkml_dist.shards": str(len(data.shards)),
        "sparkml_dist.shards_location": data.location,
        "sparkml_dist.shards_sha256": data.manifest.content_sha256,
        "sparkml_dist.rows": str(data.n_rows),
        "sparkml_dist.features": str(data.n_features),
    }


def spark_tags() -> dict[str, str]:
    """Return the tags that tell of this library and the Spark that it runs on."""
    from pyspark.sql import SparkSession

    found = {"sparkml_dist.version": __version__}
    spark = SparkSession.getActiveSession()
    if spark is not None:
        found["spark.version"] = spark.version
        for key in ("spark.app.id", "spark.app.name", "spark.master"):
            value = spark.conf.get(key, None)
            if value:
                found[key] = value
    return found
