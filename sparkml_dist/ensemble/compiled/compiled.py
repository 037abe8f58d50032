"""A model compiled for ONNX Runtime: built once, compared with the model, used when faster."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.schema import FeatureSchema, Matrix
from sparkml_dist.ensemble.compiled.check import (
    agreement,
    disagreement,
    has_onnxruntime,
    joined,
    probe_rows,
)
from sparkml_dist.ensemble.compiled.export import not_covered, onnx_bytes
from sparkml_dist.ensemble.compiled.runtime import runtime
from sparkml_dist.errors import ConfigurationError, SparkMLDistError, StorageError
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.scoring import Predict, Scorer, check_feature_columns, streams, within
from sparkml_dist.session import SessionInfo, get_session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from sparkml_dist.ensemble.ensemble_model import EnsembleModel

__all__ = ["COMPILED", "Compilation", "CompiledScorer", "choose_scorer", "compile_model"]

_logger = logging.getLogger(__name__)

COMPILED = "compiled.onnx"
_MODES = ("auto", "never", "always")
# What "auto" asks for: less than this is within the noise of the measurement.
_LEAST_SPEEDUP = 1.1
# How a graph says that the values of a constant are in a file of its naming: ours never do.
_ELSEWHERE = b"\n\x08location"
# Rows that are compared, and rows of one block of them.
_ROWS = 20_000
_BLOCK = 4_096


@dataclass(frozen=True)
class CompiledScorer:
    """Scores with the compiled graph where ONNX Runtime is installed, else as `plain` does.

    Attributes
    ----------
    plain : Scorer
        With a method ``check(X)`` that refuses blocks that the members do not take.
    label : Label
    folder : Folder
        The model's folder.
    file : str
    sha256 : str
    """

    plain: Any
    label: Label
    folder: Folder
    file: str
    sha256: str

    @property
    def cache_key(self) -> str:
        """Differs from that of the plain path."""
        return hashlib.sha256(f"{self.sha256}/{self.plain.cache_key}".encode()).hexdigest()

    @property
    def raw_scale(self) -> float:
        """Factor from probability to ``rawPrediction``."""
        return float(self.plain.raw_scale)

    @property
    def streams(self) -> bool:
        """Whether members are read anew for each block; the graph is loaded whole."""
        return not has_onnxruntime() and streams(self.plain)

    def within(self, memory: int) -> CompiledScorer:
        """Return the scorer with at most so many bytes of members in memory at once."""
        return replace(self, plain=within(self.plain, memory))

    def load(self) -> Predict:
        """Load the graph, checked against its hash, and return a function of blocks (n, d).

        Raises
        ------
        StorageError
            ``file_altered`` or ``compiled_not_loaded``.
        """
        if not has_onnxruntime():
            _logger.info("ONNX Runtime is not installed here: scoring without the compiled model")
            loaded: Predict = self.plain.load()
            return loaded
        content = self.folder.read_bytes(self.file)
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise StorageError(
                "file_altered",
                f"The model's file {self.folder.uri(self.file)!r} does not match its manifest.",
                "It was cut or altered; restore it, or compile the model anew.",
            )
        try:
            if _ELSEWHERE in content:
                raise ValueError("its constants lie in another file")
            run = runtime(content, self.label, _task_cores())
        except SparkMLDistError:
            raise
        except Exception as error:
            why = (str(error).splitlines() or [type(error).__name__])[0]
            raise StorageError(
                "compiled_not_loaded",
                f"The model's file {self.folder.uri(self.file)!r} cannot be loaded: {why}.",
                "It was altered, or is of a newer ONNX; compile the model again, or score with "
                "compiled='never'.",
            ) from error

        def predict(X: Matrix) -> Any:
            self.plain.check(X)
            return run(X)

        return predict


def _task_cores() -> int:
    """Return how many cores the task at hand owns."""
    from pyspark import TaskContext

    context = TaskContext.get()
    return 1 if context is None else max(1, context.cpus())


def choose_scorer(
    plain: Scorer, label: Label, folder: Folder, record: dict[str, Any] | None, mode: str
) -> Scorer:
    """Return the plain or the compiled scorer of a model.

    Parameters
    ----------
    plain : Scorer
    label : Label
    folder : Folder
        The model's folder.
    record : dict or None
        What `compile_model` found.
    mode : {"auto", "never", "always"}
        The compiled one where it was measured to be faster, never, or whenever there is one.

    Raises
    ------
    ConfigurationError
        ``invalid_compiled`` or ``not_compiled``.
    """
    if mode not in _MODES:
        raise ConfigurationError(
            "invalid_compiled", f"compiled must be 'auto', 'never' or 'always'. Got {mode!r}."
        )
    usable = record is not None and not record["refused"]
    if mode == "always" and not usable:
        why = "it was not compiled" if record is None else record["refused"]
        raise ConfigurationError(
            "not_compiled",
            f"compiled='always', but the model has no compiled form: {why}.",
            "Call model.compile() first, or use compiled='auto'.",
        )
    if mode == "never" or record is None or not usable:
        return plain
    if mode == "auto" and record["speedup"] < _LEAST_SPEEDUP:
        return plain
    return CompiledScorer(plain, label, folder, record["file"], record["sha256"])


@dataclass(frozen=True)
class Compilation:
    """Builds the graph of a model and compares it with the model, inside a task.

    Attributes
    ----------
    name : str
        Of the model's class.
    scorer : Scorer
        The plain one.
    label : Label
    schema : FeatureSchema
    folder : Folder
        The model's folder.
    data : PartitionedDataset or None
        Shards to compare on; rows around the trees' thresholds for None.
    """

    name: str
    scorer: Any
    label: Label
    schema: FeatureSchema
    folder: Folder
    data: PartitionedDataset | None

    def __call__(self, index: int) -> dict[str, Any]:
        """Commit the graph; return its file and the agreement."""
        content = onnx_bytes(self.scorer, self.label, self.schema, self.name)
        self.folder.write_bytes(COMPILED, content)
        return {
            "file": COMPILED,
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "agreement": self.compare(content, [self._rows()]),
        }

    def compare(self, content: bytes, blocks: Sequence[Matrix]) -> dict[str, Any]:
        """Return the agreement of a graph with the model."""
        plain, compiled = self.scorer.load(), runtime(content, self.label, _task_cores())
        return joined(
            [
                agreement(plain, compiled, X[at : at + _BLOCK])
                for X in blocks
                for at in range(0, X.shape[0], _BLOCK)
            ]
        )

    def _rows(self) -> Matrix:
        if self.data is None:
            return probe_rows(getattr(self.scorer, "bank", None), self.schema.n_features, _BLOCK)
        return self.data.read_block(0).X[:_ROWS]


def compile_model(
    model: EnsembleModel, data: DataFrame | PartitionedDataset | None
) -> dict[str, Any]:
    """Compile a model into its folder.

    The graph is built and compared in a Spark task: no member and no row comes to the driver.

    Parameters
    ----------
    model : EnsembleModel
    data : DataFrame, PartitionedDataset or None
        Rows to compare on: the first 20,000 of either. Without, rows around the thresholds of
        the members' trees are made up.

    Returns
    -------
    dict
        ``rows``, ``max_difference``, ``share_different``, ``share_equal_predictions``,
        ``speedup``, and ``refused``: why the model is not scored with it, or empty.

    Raises
    ------
    ConfigurationError
        ``onnx_not_covered``, ``onnx_not_supported``, ``onnx_missing`` or ``onnx_too_large``.
    """
    from sparkml_dist.persistence.model_folder import ModelFile

    scorer = model._plain_scorer()
    if not hasattr(scorer, "onnx_combine"):
        raise not_covered(type(model).__name__)
    shards = data if isinstance(data, PartitionedDataset) else None
    work = Compilation(
        type(model).__name__, scorer, model.label, model.schema, model.folder, shards
    )
    outcome = run_tasks(get_session(), [0], work, description="compile the model")[0]
    if outcome.error is not None:
        raise outcome.error
    built = outcome.result
    found = built["agreement"]
    if data is not None and shards is None:
        found = _compare_on(data, work)  # type: ignore[arg-type]
    refused = "there was no row to compare on" if not found["rows"] else disagreement(found)
    record = {
        "file": built["file"],
        "sha256": built["sha256"],
        "rows": found["rows"],
        "max_difference": found["max_difference"],
        "share_different": found["different"] / max(1, found["rows"]),
        "share_equal_predictions": found["equal"] / max(1, found["rows"]),
        "speedup": round(found["seconds"][0] / max(1e-9, found["seconds"][1]), 3),
        "refused": refused,
    }
    files = [f for f in model.files if f.name != COMPILED]
    if refused:
        _logger.warning("the compiled model is not used: %s", refused)
        model.folder.delete_file(COMPILED)
    else:
        files.append(ModelFile(COMPILED, built["bytes"], built["sha256"]))
    model.files = tuple(files)
    model.content = {**model.content, "compiled": record}
    model._settle()
    return record


def _compare_on(df: DataFrame, work: Compilation) -> dict[str, Any]:
    """Return the agreement on the first rows of a DataFrame, from the workers."""
    import json

    check_feature_columns(df, work.schema)
    cores = SessionInfo.of(df.sparkSession).task_cpus

    def compare(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        os.environ.setdefault("OMP_NUM_THREADS", str(cores))
        content = work.folder.read_bytes(COMPILED)
        with limit_threads(cores):
            found = work.compare(content, [work.schema.encode(b.columns) for b in batches])
        yield pa.RecordBatch.from_pydict({"found": [json.dumps(found)]})

    rows = df.select(*work.schema.transport()).limit(_ROWS).mapInArrow(compare, "found string")
    return joined([json.loads(r["found"]) for r in rows.collect()])
