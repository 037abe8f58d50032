"""Logs the run of a job in MLflow, where ``--mlflow`` asks for it."""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
from pathlib import Path
from typing import Any

from sparkml_dist.cli.document import MetricsDocument
from sparkml_dist.cli.options import plan_of
from sparkml_dist.cli.output import JobOutput
from sparkml_dist.errors import SparkMLDistError, UsageError
from sparkml_dist.mlflow.model_logging import log_model
from sparkml_dist.mlflow.run_record import RunRecord, spark_tags
from sparkml_dist.mlflow.server import check_answers, mlflow_package, talking
from sparkml_dist.mlflow.staging import copy_folder
from sparkml_dist.mlflow.values import points_of, text_of
from sparkml_dist.models.loading import load_model
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import MANIFEST

__all__ = ["JobTracker", "begin_tracking"]

_logger = logging.getLogger(__name__)

_RUN_ID = "sparkml_dist.run_id"
_FILES = ("report.html", "model_card.md", "profile.json", "profile.html", "drift.json")


def begin_tracking(
    args: argparse.Namespace, document: MetricsDocument, output: JobOutput | None
) -> JobTracker | None:
    """Begin the run of a job, before its first Spark job; None without ``--mlflow``.

    Parameters
    ----------
    args : argparse.Namespace
        With ``mlflow``, ``experiment`` and ``register``, of `add_common_options`.
    document : MetricsDocument
    output : JobOutput or None

    Raises
    ------
    UsageError
        ``usage`` for ``--experiment`` or ``--register`` without ``--mlflow``.
    ConfigurationError
        ``mlflow_missing``.
    StorageError
        ``tracking_failed``.
    """
    uri = getattr(args, "mlflow", None)
    if uri is None:
        for option in ("experiment", "register"):
            if getattr(args, option, None):
                raise UsageError("usage", f"--{option} needs --mlflow.", "See --help.")
        return None
    mlflow = mlflow_package()
    if uri:
        mlflow.set_tracking_uri(uri)
    check_answers()
    with talking("begin a run"):
        if args.experiment:
            mlflow.set_experiment(args.experiment)
        run = mlflow.start_run(run_name=document.job)
    record = RunRecord(run.info.run_id)
    tags = {_RUN_ID: document.run_id, "sparkml_dist.job": document.job}
    with talking("log the options"):
        record.write(params=_options(args), tags=tags)
    return JobTracker(args, document, output, record)


class JobTracker:
    """The run of a job in MLflow."""

    def __init__(
        self,
        args: argparse.Namespace,
        document: MetricsDocument,
        output: JobOutput | None,
        record: RunRecord,
    ) -> None:
        self._args = args
        self._document = document
        self._output = output
        self._record = record

    def succeeded(self) -> None:
        """Log what the job wrote, and end the run.

        Raises
        ------
        StorageError
            ``tracking_failed``; the output is complete, and ``--resume`` logs it.
        """
        document = self._document
        if document.earlier is not None and self._is_logged(document.earlier.get("run_id")):
            _logger.info("the run is in MLflow already")
            with talking("delete an empty run"):
                mlflow_package().end_run("FINISHED")
                mlflow_package().delete_run(self._record.run_id)
            return
        with talking("log the job"):
            found = self._log()
            mlflow_package().end_run("FINISHED")
        document.more["mlflow"] = found
        if document.earlier is not None:
            document.earlier = {**document.earlier, "mlflow": found}

    def failed(self, error: SparkMLDistError) -> None:
        """Log why the job failed, and end the run; only a warning where that is not possible."""
        try:
            with talking("log the job's error"):
                self._record.write(
                    tags={
                        "sparkml_dist.error": error.code,
                        "sparkml_dist.error_text": error.message[:500],
                        **spark_tags(),
                    }
                )
                mlflow_package().end_run("KILLED" if error.code == "interrupted" else "FAILED")
        except SparkMLDistError as other:
            _logger.warning("%s", other)

    def _is_logged(self, run_id: Any) -> bool:
        with talking("look for an earlier run"):
            runs = mlflow_package().search_runs(
                [self._record.experiment()],
                filter_string=f"tags.`{_RUN_ID}` = '{run_id}' AND attributes.status = 'FINISHED'",
                max_results=1,
                output_format="list",
            )
        return bool(runs)

    def _log(self) -> dict[str, Any]:
        record, values = self._record, self._document.to_dict()
        record.write(
            tags={_RUN_ID: values["run_id"], **spark_tags(), **_shards(values)},
            points=points_of({k: v for k, v in values.items() if k not in ("metrics", "curve")})
            + points_of(values["metrics"]),
        )
        output = self._output
        found: dict[str, Any] = {"run_id": record.run_id}
        with tempfile.TemporaryDirectory(prefix="sparkml_dist-mlflow-") as name:
            path = Path(name)
            path.joinpath("metrics.json").write_text(json.dumps(values, indent=1))
            if output is not None:
                _copy_pages(output, path)
            record.write_folder(path)
        if output is None or not output.model.exists(MANIFEST):
            return found
        model = load_model(
            output.model.location, trusted=getattr(self._args, "trusted_types", None) or ()
        )
        record.write_summary(model, pictures=False)
        name, _, alias = (getattr(self._args, "register", None) or "").partition("@")
        logged = log_model(
            model, run_id=record.run_id, registered_model_name=name or None, alias=alias or None
        )
        found["model_uri"] = logged.model_uri
        if name:
            found |= {"registered": name, "version": int(logged.registered_model_version)}
        return found


def _options(args: argparse.Namespace) -> dict[str, str]:
    """Return the options that were given, as params."""
    given = plan_of(args).items()
    return {k: text_of(v) for k, v in given if v not in (None, [], {}, False)}


def _shards(values: dict[str, Any]) -> dict[str, str]:
    where = values.get("output")
    found = {"sparkml_dist.shards": str(values["shards"])} if "shards" in values else {}
    if isinstance(where, dict) and where.get("shards"):
        found["sparkml_dist.shards_location"] = str(where["shards"])
    return found


def _copy_pages(output: JobOutput, path: Path) -> None:
    """Copy pictures and pages of the output to a local folder."""
    if output.plots.exists():
        copy_folder(output.plots, Folder.at(path / "plots"))
    for name in _FILES:
        if output.folder.exists(name):
            output.folder.copy_file_to(name, Folder.at(path))
