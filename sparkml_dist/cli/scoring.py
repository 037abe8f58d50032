"""Scores a table with a saved model and writes the result as Parquet."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from sparkml_dist.cli.job_report import write_job_report
from sparkml_dist.cli.options import reading
from sparkml_dist.cli.runner import Job
from sparkml_dist.cli.unsupervised_scoring import kept_columns, unsupervised_scores
from sparkml_dist.dataset.many_columns import quoted
from sparkml_dist.errors import ConfigurationError, DataError, StorageError
from sparkml_dist.metrics.evaluation import evaluate_classification
from sparkml_dist.metrics.regression import evaluate_regression
from sparkml_dist.mlflow.uris import is_model_uri
from sparkml_dist.models.file_scoring import DONE, ScoredFiles, score_files
from sparkml_dist.models.loading import load_model
from sparkml_dist.models.scored_file import FileScorer
from sparkml_dist.models.shard_model import ShardModel
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.lock import FolderLock
from sparkml_dist.persistence.model_folder import MANIFEST
from sparkml_dist.persistence.parquet import read_files, write_parquet
from sparkml_dist.persistence.replacing import replace_folder
from sparkml_dist.tables.lines import format_of
from sparkml_dist.tables.read import read_table
from sparkml_dist.tables.schema import Table, TableSchema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["score_table"]

_logger = logging.getLogger(__name__)


def score_table(args: argparse.Namespace, job: Job) -> None:
    """Run the scoring job and fill in its metrics document.

    Parameters
    ----------
    args : argparse.Namespace
        ``model``, ``input``, ``output``, ``label``, ``keep``, ``overwrite`` and the reading
        options.
    job : Job

    Raises
    ------
    StorageError
        ``output_exists``, ``output_busy``, ``not_a_model``, and those of loading the model.
    DataError
        As raised by reading and scoring the table.
    """
    target = Folder.at(args.output)
    with FolderLock(target, application=f"score, run {job.document.run_id}") as lock:
        again = args.resume and target.exists(DONE)
        _check_target(target, overwrite=args.overwrite or again)
        format_of(args.input, args.format)
        with _model_folder(args.model, target) as home:
            model = load_model(home.location, trusted=args.trusted_types, verify=args.verify)
            location = args.model if is_model_uri(args.model) else home.location
            job.document.more["output"] = {"predictions": target.location}
            job.document.more["model"] = {"location": location, "class": type(model).__name__}
            _score(args, job, model, target, lock)


def _score(
    args: argparse.Namespace, job: Job, model: Any, target: Folder, lock: FolderLock
) -> None:
    """Write the scored table in place of an earlier one."""
    document = job.document
    spark, label = job.spark, ""
    with job.stage("read"):
        if isinstance(model, ShardModel):
            document.features = model.numFeatures
            document.classes = len(model.label.classes)
            table = _read(args, job, model)
            label = table.label
            kept = _kept(table.df, args.keep, label)
            as_written = _with_output_names(model)
            scorer = as_written._file_scorer() if _is_files(args) else None
            if scorer is not None:
                _score_files(
                    args, job, model, replace(scorer, keep=tuple(kept)), target, lock, label
                )
                return
            scored = _scored(as_written, table.df, kept)
        else:
            scored = unsupervised_scores(args, spark, model)
    if args.resume:
        _logger.info("only Parquet files are scored file by file: all rows are scored again")
    temporary = _hidden_folder(target, "next")
    temporary.delete()  # left by a killed run
    try:
        with job.stage("score"):
            stored = write_parquet(scored, temporary)
        written = stored.read(spark)
        document.rows = written.count()
        if label:
            with job.stage("evaluate"):
                _evaluate(job, model, written, label)
        # Readers of Parquet skip names that begin with an underscore.
        write_job_report(temporary, {**document.to_dict(), "status": "ok"}, "_report.html")
        lock.check()
    except BaseException:
        temporary.delete()
        raise
    replace_folder(temporary, target, stored.names)


def _is_files(args: argparse.Namespace) -> bool:
    """Tell whether the input is Parquet files, which tasks can read themselves."""
    return format_of(args.input, args.format) == "parquet" and not set("*?[{") & set(args.input)


def _score_files(
    args: argparse.Namespace,
    job: Job,
    model: ShardModel,
    scorer: FileScorer,
    target: Folder,
    lock: FolderLock,
    label: str,
) -> None:
    """Score the input file by file, and write the report beside the files."""
    document = job.document

    def finish(folder: Folder, found: ScoredFiles) -> None:
        document.rows = found.rows
        document.more["files"] = {"written": found.files, "kept": found.kept_files}
        document.peak_worker_rss_mb = round(found.peak_worker_rss / 2**20, 1) or None
        if label:
            with job.stage("evaluate"):
                _evaluate(job, model, _read_scores(job.spark, folder), label)
        write_job_report(folder, {**document.to_dict(), "status": "ok"}, "_report.html")
        lock.check()

    with job.stage("score"):
        score_files(
            job.spark,
            scorer,
            args.input,
            target.location,
            identity=[file.sha256 for file in model.files],
            overwrite=not args.resume,
            resume=args.resume,
            finish=finish,
        )


def _read_scores(spark: SparkSession, folder: Folder) -> DataFrame:
    """Return the rows of scored files, without partition columns on object stores."""
    if not folder.is_object_store:
        return spark.read.parquet(folder.spark_path())
    from pyspark.sql.pandas.types import from_arrow_schema

    names = folder.read_json(DONE)["files"]
    with folder.opened(names[0]) as stream:
        schema = from_arrow_schema(pq.read_schema(stream))
    return read_files(spark, folder, names, schema)


def _check_target(target: Folder, *, overwrite: bool) -> None:
    if target.is_empty():
        return
    files = target.walk()
    if not overwrite:
        raise StorageError(
            "output_exists",
            f"{target.location!r} is not empty.",
            "Pass --overwrite to replace it, or choose another folder.",
        )
    strangers = [f for f in files if not f.rpartition("/")[2].startswith(("part-", "_", "."))]
    if strangers:
        raise StorageError(
            "output_exists",
            f"{target.location!r} holds {strangers[0]!r}, which no scoring job wrote.",
            "Choose another folder; this one will not be overwritten.",
        )


def _evaluate(job: Job, model: ShardModel, written: DataFrame, label: str) -> None:
    """Fill in the metrics of the rows with a label, if there are any."""
    labelled = written.where(f"{quoted([label])[0]} IS NOT NULL")
    if dict(written.dtypes)[label] in ("double", "float"):
        labelled = labelled.where(f"NOT isnan({quoted([label])[0]})")
    rows = labelled.count()
    job.document.more["rows_without_label"] = (job.document.rows or 0) - rows
    if not rows:
        _logger.warning("no row has a label in the column %r; there are no metrics", label)
        return
    if model.label.is_regression:
        errors = evaluate_regression(labelled, label_col=label)
        job.document.metrics = errors.to_dict()
        job.document.more["intervals"] = {k: list(v) for k, v in errors.intervals.items()}
        return
    metrics = evaluate_classification(labelled, label_col=label, classes=model.label.classes)
    job.document.metrics = metrics.to_dict()
    job.document.more["intervals"] = {k: list(v) for k, v in metrics.intervals.items()}
    job.document.more["unknown_label_rows"] = metrics.unknown_label_rows


@contextmanager
def _model_folder(location: str, target: Folder) -> Iterator[Folder]:
    """Yield the model's folder: `location`, or ``model`` in a training job's output.

    A model of MLflow is fetched to a folder beside the output, which workers reach as well.
    """
    if is_model_uri(location):
        from sparkml_dist.mlflow.loading import download_model

        fetched = _hidden_folder(target, "model")
        fetched.delete()  # left by a killed run
        try:
            yield download_model(location, fetched.location)
        finally:
            fetched.delete()
        return
    folder = Folder.at(location)
    inner = folder.child("model")
    yield inner if not folder.exists(MANIFEST) and inner.exists(MANIFEST) else folder


def _read(args: argparse.Namespace, job: Job, model: ShardModel) -> Table:
    chosen = format_of(args.input, args.format)
    known = None if model.table is None else TableSchema.from_dict(model.table)
    schema = known or _schema_of(model, chosen)
    return read_table(
        job.spark,
        args.input,
        label=args.label,
        schema_from=schema,
        label_optional=True,
        **reading(args),
    )


def _schema_of(model: ShardModel, format: str) -> TableSchema:
    """Return the schema of the table that a model needs, if the model has no training schema."""
    columns = tuple(c.name for c in model.schema.columns)
    kinds = {"numeric": "number", "categorical": "string"}
    if format == "libsvm" and columns != ("features",):
        raise DataError(
            "column_not_found",
            f"The model was trained on the columns {', '.join(columns[:8])}; libsvm has none.",
            "Provide the data in the format of the training data.",
        )
    return TableSchema(
        format=format,
        columns=columns,
        kinds=tuple(kinds.get(c.kind, "other") for c in model.schema.columns),
        features=columns,
        categorical=tuple(c.name for c in model.schema.columns if c.kind == "categorical"),
        header=None,
        words=tuple(c.name for c in model.schema.columns if c.kind == "categorical"),
        n_features=model.numFeatures if format == "libsvm" else 0,
    )


def _kept(df: DataFrame, keep: list[str] | None, label: str) -> list[str]:
    """Return the columns of the input to write."""
    written = ("prediction", "probability", "predictedlabel")
    outputs = [column for column in df.columns if column.casefold() in written]
    if outputs:
        raise ConfigurationError(
            "output_column_taken",
            f"The input has a column {outputs[0]!r}, which scoring writes.",
            "Rename it in the input.",
        )
    kept = kept_columns(df, keep)
    if keep is not None and label and label not in kept:
        kept.append(label)
    return kept


def _with_output_names(model: ShardModel) -> ShardModel:
    """Return a copy of the model that adds the columns that the job writes."""
    names = {
        "predictionCol": "prediction",
        "probabilityCol": "probability",
        "predictedLabelCol": "predictedLabel",
        "rawPredictionCol": "",
    }
    renamed: ShardModel = model.copy(
        {model.getParam(k): v for k, v in names.items() if model.hasParam(k)}
    )
    return renamed


def _scored(model: ShardModel, df: DataFrame, kept: list[str]) -> DataFrame:
    from pyspark.ml.functions import vector_to_array
    from pyspark.sql import functions as F

    scored = model.transform(df)
    added = [F.col("prediction")]
    if model.hasParam("probabilityCol"):
        array = vector_to_array(F.col("probability")).cast("array<double>")
        added.append(array.alias("probability"))
    if "predictedLabel" in scored.columns:
        added.append(F.col("predictedLabel"))
    return scored.select(*quoted(kept), *added)


def _hidden_folder(target: Folder, kind: str) -> Folder:
    """Return a folder beside the output, for what is there only while the job runs."""
    return target.parent().child(f".{target.name}.{kind}")
