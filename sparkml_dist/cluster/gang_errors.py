"""Converts the record of a failed rank into the error that the driver raises."""

from __future__ import annotations

import json
import re
import signal
from typing import Any

import sparkml_dist.errors as errors
from sparkml_dist.cluster.workers import worker_failure
from sparkml_dist.errors import ResourceError, SparkMLDistError, TrainingError

__all__ = ["TaskStoppedError", "failure", "job_failure"]

_LOST_TASK = re.compile(
    r"barrier task ResultTask\(\d+, (\d+)\) finished unsuccessfully\.?\s*([^\n]*)"
)


_STOPPED = "another task of the gang is silent: "


class TaskStoppedError(Exception):
    """Ends the Spark job of a gang in which one task will never return its row.

    Parameters
    ----------
    record : dict
        Of the failure; `job_failure` reads it back from Spark's exception.
    """

    def __init__(self, record: dict[str, Any]) -> None:
        super().__init__(_STOPPED + json.dumps(record))


def failure(record: dict[str, Any]) -> SparkMLDistError:
    """Return the error for the first failure of a gang.

    Parameters
    ----------
    record : dict
        ``rank``, ``host``, ``kind``, and depending on it ``exit_code``, ``error``, ``seconds``,
        ``taken`` and ``limit``, or ``tail``.

    Returns
    -------
    SparkMLDistError
        With the attributes ``rank``, ``host`` and ``log_tail`` (list of str) beside its own.
    """
    rank, host = record.get("rank", "?"), record.get("host", "?")
    tail = [str(line) for line in record.get("tail", [])]
    where = f"Rank {rank} on {host}"
    error = record.get("error") or {}
    result: SparkMLDistError
    if "raised" in error:
        result = _rebuilt(error["raised"])
    else:
        code, what, hint = _explain(record, error)
        end = "".join(f"\n  {line}" for line in tail)
        raised = ResourceError if record.get("kind") == "memory" else TrainingError
        result = raised(
            code, f"{where} {what}." + (f"\nThe end of its log:{end}" if tail else ""), hint
        )
    result.rank, result.host, result.log_tail = rank, host, tail  # type: ignore[attr-defined]
    return result


def job_failure(error: Exception, ranks: int) -> Exception:
    """Return the error for a Spark job that failed without the outcomes of its ranks."""
    text = str(error)
    if "SPARK-24819" in text:
        return ResourceError(
            "too_few_slots",
            f"Spark has too few task slots to run {ranks} ranks at the same time.",
            "Ask for fewer ranks, or give Spark more executor cores.",
        )
    if (stopped := text.partition(_STOPPED)[2]) != "":
        return failure(json.JSONDecoder().raw_decode(stopped)[0])
    if (unfit := worker_failure(text)) is not None:
        return unfit
    if found := _LOST_TASK.search(text):
        # Spark does not retry a barrier stage that yields results: this ends the job.
        return TrainingError(
            "rank_lost",
            f"The Spark task {found.group(1)} of a gang of {ranks} ranks was lost: "
            f"{found.group(2)[:300].rstrip('.')}.",
            "Its Python worker or executor died: see the executor's log, and whether it was killed "
            "for its memory.",
        )
    # The first line of an exception of the JVM only names a call.
    lines = [line.lstrip(": ") for line in text.splitlines() if line.strip()] or [repr(error)]
    first = lines[1] if len(lines) > 1 and "occurred while calling" in lines[0] else lines[0]
    return TrainingError(
        "gang_job_failed",
        f"The Spark job of a gang of {ranks} ranks failed: {first[:500]}",
        "See the logs of the driver and of the executors.",
    )


def _rebuilt(raised: dict[str, str]) -> SparkMLDistError:
    kind = getattr(errors, raised["type"], TrainingError)
    if not (isinstance(kind, type) and issubclass(kind, SparkMLDistError)):
        kind = TrainingError
    return kind(raised["code"], raised["message"], raised["hint"])


def _explain(record: dict[str, Any], error: dict[str, Any]) -> tuple[str, str, str]:
    match record.get("kind"):
        case "raised":
            return (
                "rank_failed",
                f"failed: {error.get('type')}: {error.get('message')}".rstrip("."),
                "The other ranks were stopped.",
            )
        case "died":
            return _died(int(record.get("exit_code", 0)))
        case "not_started":
            return (
                "rank_not_started",
                f"did not start within {record.get('seconds'):g} s",
                "Look for a slow or overloaded disk or host, or raise the start timeout.",
            )
        case "silent":
            where = ": its Spark task is stopped, or its messages do not arrive"
            return (
                "rank_silent",
                f"sent no heartbeat for {record.get('seconds'):g} s"
                f"{where if record.get('task') else ''}",
                "It may be stopped, swapping, or stuck in native code. Raise the silence timeout "
                "where this may take longer.",
            )
        case "forged":
            return (
                "gang_line_forged",
                "received or seemed to send a message that was altered, repeated or forged on its "
                "way",
                "Somebody between the executors interferes with the messages of the ranks: check "
                "the network, and enable Spark's encryption (spark.network.crypto.enabled).",
            )
        case "stalled":
            return _stalled(record)
        case "memory":
            return (
                "rank_memory",
                f"took {record['taken'] / 2**20:,.0f} MiB of memory beyond its imports; "
                f"{record['limit'] / 2**20:,.0f} MiB are allowed",
                "Allow more, or use more ranks, so that each has fewer rows.",
            )
        case "not_joined":
            return (
                "rank_lost",
                "did not connect: its Spark task did not start, or the network between the "
                "executors is closed",
                "See the executor's log; executors must reach each other on any port.",
            )
        case _:
            return (
                "rank_lost",
                "was lost: its Spark task or its host is gone",
                "See the executor's log, and whether the process was killed for its memory.",
            )


def _stalled(record: dict[str, Any]) -> tuple[str, str, str]:
    doing = f" (last: {record['doing']})" if record.get("doing") else ""
    count, others = record["count"], [int(c) for c in record.get("others", {}).values()]
    if record.get("level"):
        place = f"stopped, like all ranks, at advance {count}{doing}"
    elif others:
        place = f"is behind at advance {count}{doing}, while others have reached {max(others)}"
    else:
        place = f"stopped at advance {count}{doing}"
    return (
        "gang_stalled",
        f"{place}: no rank has advanced for {record['seconds']:.0f} s",
        "The stacks below show what it waits for: data, a disk, or the other ranks. Raise the "
        "stall timeout where a step may take that long.",
    )


def _died(code: int) -> tuple[str, str, str]:
    if code >= 0:
        return "rank_died", f"ended with exit code {code}", "The other ranks were stopped."
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = "The other ranks were stopped."
    if -code == signal.SIGKILL:
        hint = (
            "SIGKILL is how the kernel or the cluster manager ends a process that takes too much "
            "memory: raise spark.executor.memoryOverhead or lower the batch size."
        )
    return "rank_died", f"was killed by {name}", hint
