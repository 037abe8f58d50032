"""Learns a network where its rows are: in one task that holds them all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sparkml_dist.cluster.failures import failure_error, failure_record
from sparkml_dist.cluster.progress import job_description
from sparkml_dist.cluster.tasks import is_last_attempt, task_attempts
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.dataset.many_columns import quoted
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.errors import ResourceError
from sparkml_dist.graphical.counting.frame_rows import FrameRows, schema_of_lists, variables_of
from sparkml_dist.graphical.counting.held_rows import HeldRows
from sparkml_dist.graphical.counting.packed_rows import PACKED, gathered_rows, packed_rows
from sparkml_dist.graphical.counting.shard_rows import ShardRows, held_shards
from sparkml_dist.graphical.learning import FitPlan, LearnedNetwork, learn_network
from sparkml_dist.graphical.network import Network
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["FORMS", "learn_from_frame", "learn_from_shards"]

#: Where rows are counted.
FORMS = ("auto", "jobs", "task")

# Above the first, passes of all slots are faster than one task, see
# benchmarks/graphical_hill_climbing.py; the second is what a task may hold where that is asked for.
_MOST_BYTES = {"auto": 64 << 20, "task": 512 << 20}

_RESULT = "result string, tables binary"

Found = dict[str, Any]


def learn_from_frame(
    df: DataFrame, names: Sequence[str], plan: FitPlan, form: str = "auto"
) -> LearnedNetwork:
    """Learn a network from columns of a DataFrame.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    names : sequence of str
        As `chosen_columns` returns them.
    plan : FitPlan
    form : {"auto", "jobs", "task"}, default="auto"
        ``"task"``: one job brings the rows, packed, to one task, which learns the network; they go
        from executor to executor. ``"jobs"``: a job for each pass over the rows. ``"auto"``: in one
        task where the distinct rows take at most 64 MiB there, as that first job finds out.

    Returns
    -------
    LearnedNetwork
        The same in both forms.

    Raises
    ------
    ResourceError
        ``rows_do_not_fit`` for ``"task"``.
    DataError, ConfigurationError
        As `categorical_schema` and `learn_network`.
    """
    schema: FeatureSchema | None = None
    if form != "jobs":
        texts = [f"CAST({name} AS STRING) AS c{i}" for i, name in enumerate(quoted(names))]
        most = _MOST_BYTES[form]
        pack = partial(packed_rows, names=tuple(names), most_bytes=most)
        packed = df.selectExpr(*texts).mapInArrow(pack, _ddl(PACKED)).repartition(1)
        found = _in_one_task(packed, partial(_learned_from_packed, tuple(names), plan, most))
        if isinstance(found, LearnedNetwork):
            return found
        _check_form(form, most)
        schema = schema_of_lists(names, dict(zip(names, found["lists"], strict=True)))
    rows = FrameRows(df, names, schema)
    try:
        return learn_network(rows, plan).with_facts(form="jobs")
    finally:
        rows.close()


def learn_from_shards(rows: ShardRows, plan: FitPlan, form: str = "auto") -> LearnedNetwork:
    """Learn a network from shards, as `learn_from_frame` does from a DataFrame.

    The number of rows is known from the manifest, so that ``"auto"`` needs no job to decide.
    """
    if form == "task" or (form == "auto" and rows.bytes_in_one_task() <= _MOST_BYTES[form]):
        most = _MOST_BYTES[form]
        found = _in_one_task(
            rows.spark.range(0, 1, 1, 1), partial(_learned_from_shards, rows.data, plan, most)
        )
        if isinstance(found, LearnedNetwork):
            return found
        _check_form(form, most)
    return learn_network(rows, plan).with_facts(form="jobs")


def _check_form(form: str, most: int) -> None:
    if form == "task":
        raise ResourceError(
            "rows_do_not_fit",
            f"The distinct rows take more than the {most >> 20} MiB that one task may hold.",
            'Set form="jobs" or form="auto", or choose fewer columns.',
        )


def _in_one_task(
    df: DataFrame, work: Callable[[Iterator[pa.RecordBatch]], LearnedNetwork | Found]
) -> LearnedNetwork | Found:
    """Run work over a DataFrame of one partition; return a network, or what else it returned."""
    spark = df.sparkSession
    info = SessionInfo.of(spark)
    attempts, cores = task_attempts(spark, info), info.task_cpus

    def task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        found: Found
        tables = np.zeros(0)
        try:
            with limit_threads(cores):
                learned = work(batches)
            if isinstance(learned, LearnedNetwork):
                found = {"network": learned.network.to_dict(), "facts": learned.facts}
                tables = learned.network.flat_tables()
            else:
                found = learned
        except Exception as error:  # noqa: BLE001 - told to the driver, or raised for a retry
            found = {"error": failure_record(error, last=is_last_attempt(attempts))}
        yield pa.RecordBatch.from_pydict(
            {"result": [json.dumps(found)], "tables": [tables.astype("<f8").tobytes()]}
        )

    with job_description(spark, "sparkml_dist: learn a network in one task"):
        rows = df.mapInArrow(task, _RESULT).toArrow().to_pylist()
    result: Found = json.loads(rows[0]["result"])
    if "error" in result:
        raise failure_error(result["error"])
    if "network" not in result:
        return result
    network = Network.from_dict(result["network"], np.frombuffer(rows[0]["tables"], "<f8"))
    return LearnedNetwork(network, result["facts"])


def _learned_from_packed(
    names: Sequence[str], plan: FitPlan, most: int, batches: Iterator[pa.RecordBatch]
) -> LearnedNetwork | Found:
    found = gathered_rows(batches, names=names, most_bytes=most)
    schema = schema_of_lists(names, dict(zip(names, found.lists, strict=True)))
    if found.codes is None:
        return {"lists": found.lists}
    rows = HeldRows(variables_of(schema), found.codes, found.weights)
    return learn_network(rows, plan).with_facts(form="task")


def _learned_from_shards(
    data: Any, plan: FitPlan, most: int, batches: Iterator[pa.RecordBatch]
) -> LearnedNetwork | Found:
    for _ in batches:
        pass
    rows = held_shards(data, most)
    return {} if rows is None else learn_network(rows, plan).with_facts(form="task")


def _ddl(schema: pa.Schema) -> str:
    kinds = {"int64": "long", "binary": "binary", "bool": "boolean"}
    return ", ".join(
        f"{field.name} {kinds.get(str(field.type), 'array<array<binary>>')}" for field in schema
    )
