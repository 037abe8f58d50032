"""Looks at a cluster: each worker's Python, packages, memory, clock and folders; settings."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

from sparkml_dist.cluster.workers import worker_failure
from sparkml_dist.console.distributions import installed, with_requirements
from sparkml_dist.console.findings import Finding, bad, good, plain
from sparkml_dist.console.worker_look import worker_look
from sparkml_dist.errors import SparkMLDistError
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.session import SessionInfo, has_dynamic_allocation

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["look_at_cluster"]

_EXTRA = ("tensorflow", "tensorflow-cpu", "keras", "horovod", "xgboost-cpu", "lightgbm", "catboost")
_SKEW_SECONDS = 5.0
# A worker with scikit-learn, and the smallest useful memory of a task.
_SLOT_BYTES = 812 << 20
# Tasks for a server that does not tell its slots.
_UNKNOWN_SLOTS = 16
_ENVIRONMENT = (
    "Install the same there, or send it: sparkml-dist pack --output env.tar.gz, then --environment "
    "env.tar.gz."
)


def look_at_cluster(
    spark: SparkSession, folders: Sequence[str] = (), *, wait: float = 60.0
) -> list[Finding]:
    """Return the findings about the cluster of a session.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    folders : sequence of str
        Locations that the driver and all workers must see.
    wait : float, default=60.0
        Seconds to wait for the first executor.
    """
    info = _with_slots(spark, wait)
    if info.slots == 0:
        return [
            bad(
                "slots",
                f"{info.master} has no executor after {wait:.0f} s",
                "Check in the cluster manager why; ask for less memory or fewer cores.",
            )
        ]
    token = f".doctor-{uuid.uuid4().hex}"
    shared, found = _begin(folders, token)
    packages = _names_of_packages()
    try:
        own, reports, skew = _reports(spark, info, packages, [*shared], token)
    except Exception as error:  # noqa: BLE001 - whatever Spark raises is the finding
        known = worker_failure(str(error))
        text = known.message if known else str(error).splitlines()[0][:300]
        return [*found, bad("workers", text, known.hint if known else "See the executors' logs.")]
    finally:
        written = {place: _end(folder, token) for place, folder in shared.items()}
    hosts = {r["host"] for r in reports}
    slots = "unknown" if info.slots is None else str(info.slots)
    where = f"on {len(hosts)} host{'s' if len(hosts) > 1 else ''}"
    found.append(good("slots", f"{slots} at {info.master or 'the server'}, {where}"))
    found += [
        _python(own, reports),
        *_packages(own, reports, packages),
        _horovod(reports),
        _memory(info, reports),
        _clock(skew),
        *(_folder(place, reports, written[place]) for place in shared),
        *_settings(spark),
    ]
    return found


def _with_slots(spark: SparkSession, wait: float) -> SessionInfo:
    """Return the facts once there are executors, and no more of them have come for two seconds."""
    deadline = time.monotonic() + wait
    before = None
    while True:
        info = SessionInfo.of(spark)
        if info.slots is None or info.kind == "local" or (info.slots and info.slots == before):
            return info
        if time.monotonic() > deadline:
            return info
        before = info.slots
        time.sleep(2)


def _names_of_packages() -> list[str]:
    """Return the distributions to compare: what the library requires, and what extras bring."""
    among = installed()
    core = with_requirements(["sparkml_dist"], among) if "sparkml-dist" in among else []
    direct = {"sparkml-dist", "pyspark", "numpy", "scipy", "scikit-learn", "pandas", "pyarrow"}
    direct |= {"skops", "joblib", "threadpoolctl", "psutil", "datasketches"}
    return [*sorted(direct & {*core, "sparkml-dist"}), *_EXTRA]


def _begin(folders: Sequence[str], token: str) -> tuple[dict[str, Folder], list[Finding]]:
    """Write the file that workers shall read; return the folders where that worked."""
    shared, found = {}, []
    for location in folders:
        try:
            folder = Folder.at(location)
            folder.write_bytes(token, b"seen")
            shared[location] = folder
        except (SparkMLDistError, OSError) as error:
            remedy = "Check the address and its permissions."
            found.append(bad(f"folder {location}", f"the driver cannot write: {error}", remedy))
    return shared, found


def _end(folder: Folder, token: str) -> int:
    """Delete the files of this look; return how many workers' the driver saw."""
    names = [name for name in folder.names() if name.startswith(token)]
    for name in names:
        folder.delete_file(name)
    return len(names) - 1


def _reports(
    spark: SparkSession, info: SessionInfo, packages: list[str], folders: list[str], token: str
) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, float]]:
    """Return the driver's report, those of tasks on all slots, and the clocks' skew by host."""
    gang = info.slots is not None and not has_dynamic_allocation(spark)
    tasks = info.slots if gang and info.slots else 2 * (info.slots or _UNKNOWN_SLOTS)
    look, _ = worker_look(packages, [], token)
    _, look_in_task = worker_look(packages, folders, token, pause=0.0 if gang else 1.0)
    start = time.time()
    rows = (
        spark.range(0, tasks, 1, tasks)
        .mapInArrow(look_in_task, "report string", barrier=gang)
        .collect()
    )
    end = time.time()
    reports = [json.loads(row.report) for row in rows]
    skew: dict[str, float] = {}
    for report in reports:
        # A task's clock must lie between the driver's before and after.
        off = max(start - report["time"], report["time"] - end, 0.0)
        skew[report["host"]] = max(off, skew.get(report["host"], 0.0))
    return look(), reports, skew


def _hosts(reports: list[dict[str, Any]]) -> str:
    names = sorted({r["host"] for r in reports})
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _python(own: dict[str, Any], reports: list[dict[str, Any]]) -> Finding:
    minor = own["python"].rsplit(".", 1)[0]
    others = [r for r in reports if r["python"].rsplit(".", 1)[0] != minor]
    if others:
        one = others[0]
        return bad(
            "workers' Python",
            f"{one['python']} ({one['executable']}) on {_hosts(others)}; the driver has "
            f"{own['python']}",
            "Set spark.pyspark.python to an interpreter of the driver's version. " + _ENVIRONMENT,
        )
    programs = sorted({r["executable"] for r in reports})
    return good("workers' Python", f"{reports[0]['python']} ({', '.join(programs[:3])})")


def _packages(
    own: dict[str, Any], reports: list[dict[str, Any]], names: list[str]
) -> list[Finding]:
    """Return differences of installed versions between the driver and workers."""
    found, lacking = [], []
    for name in names:
        here = own["versions"][name]
        others = [r for r in reports if r["versions"][name] != here]
        # Spark brings PySpark's modules, without the facts of a distribution.
        if name == "pyspark":
            others = [r for r in others if r["versions"][name]]
        if not others:
            continue
        there = sorted({r["versions"][name] or "none" for r in others})
        if name in _EXTRA and there == ["none"]:
            lacking.append(f"{name} {here}")
            continue
        text = f"{', '.join(there)} on {_hosts(others)}; the driver has {here or 'none'}"
        needed = name not in _EXTRA or here
        found.append((bad if needed else plain)(f"package {name}", text, _ENVIRONMENT))
    if not any(f.state == "wrong" for f in found):
        same = [
            f"{name} {own['versions'][name]}"
            for name in names
            if all(r["versions"][name] == own["versions"][name] != "" for r in reports)
        ]
        found.insert(0, good("workers' packages", f"as the driver's: {', '.join(same)}"))
    if lacking:
        found.append(plain("the driver's only", ", ".join(lacking), _ENVIRONMENT))
    return found


def _horovod(reports: list[dict[str, Any]]) -> Finding:
    with_network = [
        r for r in reports if r["versions"]["tensorflow"] or r["versions"]["tensorflow-cpu"]
    ]
    lacking = [r for r in with_network if not r["horovod"]]
    if not with_network:
        return plain("workers' Horovod", "no worker has TensorFlow: no networks here")
    if lacking:
        return bad(
            "workers' Horovod",
            f"TensorFlow without a Horovod for it on {_hosts(lacking)}",
            "sparkml-dist build-horovod --wheelhouse DIR, and pip install that wheel there.",
        )
    return good("workers' Horovod", "built for TensorFlow on all of them")


def _memory(info: SessionInfo, reports: list[dict[str, Any]]) -> Finding:
    by_host: dict[str, list[int]] = {}
    for report in reports:
        by_host.setdefault(report["host"], []).append(report["memory"])
    if info.shares_local_disk or info.slots is None:
        slots = dict.fromkeys(by_host, info.slots or 1)
    else:
        slots = {host: len(found) for host, found in by_host.items()}
    each = {host: min(found) / slots[host] for host, found in by_host.items()}
    host, least = min(each.items(), key=lambda item: item[1])
    text = f"at least {least / 2**30:.1f} GiB for each slot ({host}), the JVM's share included"
    if least >= _SLOT_BYTES:
        return good("workers' memory", text)
    remedy = "Use fewer slots (spark.executor.cores), or smaller shards (--memory-per-task)."
    return plain("workers' memory", text, remedy)


def _clock(skew: dict[str, float]) -> Finding:
    host, most = max(skew.items(), key=lambda item: item[1])
    if most <= _SKEW_SECONDS:
        return good("clocks", "agree with the driver's")
    return bad(
        "clocks",
        f"that of {host} differs by at least {most:.0f} s from the driver's",
        "Synchronize them (NTP): locks of folders and heartbeats compare times.",
    )


def _folder(location: str, reports: list[dict[str, Any]], written: int) -> Finding:
    name = f"folder {location}"
    blind = [r for r in reports if r["folders"].get(location) != ""]
    if blind:
        text = f"not seen on {_hosts(blind)}: {blind[0]['folders'].get(location)}"
    elif written < len(reports):
        text = f"the driver sees the files of {written} of {len(reports)} workers"
    else:
        return good(name, f"the driver and {len(reports)} workers read and write it")
    return bad(name, text, "Name a folder that all machines share: HDFS, S3, NFS.")


def _settings(spark: SparkSession) -> list[Finding]:
    def setting(key: str, default: str = "") -> str:
        return spark.conf.get(key, default) or default

    found = []
    rows = int(setting("spark.sql.execution.arrow.maxRecordsPerBatch", "10000"))
    key = "spark.sql.execution.arrow.maxRecordsPerBatch"
    if 0 < rows < 32768:
        remedy = f"--conf {key}=65536 partitions and scores about twice as fast (narrow tables)."
        found.append(plain("Arrow batches", f"{rows:,} rows", remedy))
    else:
        found.append(good("Arrow batches", f"{rows:,} rows"))
    if setting("spark.python.worker.reuse", "true") != "true":
        remedy = "Set spark.python.worker.reuse=true: a start takes seconds."
        found.append(bad("Python workers", "not used again", remedy))
    if limit := setting("spark.executor.pyspark.memory"):
        remedy = "Leave spark.executor.pyspark.memory out: it limits address space, of which "
        remedy += "TensorFlow reserves far more than it uses."
        found.append(plain("address space", f"limited to {limit}", remedy))
    if has_dynamic_allocation(spark):
        remedy = "Set spark.dynamicAllocation.enabled=false for networks and XGBoost models."
        found.append(plain("dynamic allocation", "on: no gang can start", remedy))
    versions = {"driver": metadata.version("pyspark"), "cluster": spark.version}
    if len({v.rsplit(".", 1)[0] for v in versions.values()}) > 1:
        text = f"PySpark {versions['driver']} at the driver, Spark {versions['cluster']}"
        found.append(bad("Spark's version", text, f"pip install pyspark=={versions['cluster']}"))
    else:
        found.append(good("Spark's version", spark.version))
    return found
