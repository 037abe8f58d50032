"""What one task of a gang's barrier stage does on its executor.

A task does not raise: Spark would end the job with the trace of that task, even where another rank
failed first. Every task takes part in ``allGather`` (the others wait for it there) and returns one
row with the outcome of its rank.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sparkml_dist.cluster.control import ControlServer
from sparkml_dist.cluster.control_client import SERVER_GONE, ControlClient
from sparkml_dist.cluster.control_wire import heartbeat_seconds
from sparkml_dist.cluster.gang_errors import TaskStoppedError
from sparkml_dist.cluster.gang_logs import EVENTS_FILE, GrowingFile
from sparkml_dist.cluster.gang_spec import GangSpec
from sparkml_dist.cluster.observed_time import ObservedTime
from sparkml_dist.cluster.placement import (
    Peer,
    check_own_name,
    interface_of,
    own_address,
    rank_places,
)
from sparkml_dist.cluster.rank_environment import horovod_environment, process_environment
from sparkml_dist.cluster.rank_memory import POLL_SECONDS, RankMemory
from sparkml_dist.cluster.rank_process import RankProcess
from sparkml_dist.cluster.rendezvous import RendezvousServer
from sparkml_dist.cluster.sums.frames import RANK_GONE
from sparkml_dist.cluster.workers import check_modules
from sparkml_dist.errors import SparkMLDistError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["gang_task"]

_VERDICT_SECONDS = 15.0
_MOST_EVENTS = 100_000
_DOING_LENGTH = 200

# Errors of collective operations after another rank has died: the consequence, not the cause.
_ECHOES = (
    "HorovodInternalError",
    "Horovod has been shut down",
    "gloo/transport",
    "[gloo]",
    "shared memory with another rank",
    RANK_GONE,
)


def gang_task(spec: GangSpec, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Run one rank; yield one row with its outcome as JSON.

    Raises
    ------
    TaskStoppedError
        Another task is silent. Spark would wait for its row; this error ends the job.
    """
    import pyarrow
    from pyspark import BarrierTaskContext

    for _ in batches:
        pass
    with contextlib.ExitStack() as stack:
        task = _Task(spec, BarrierTaskContext.get(), stack)
        outcome = task.run()
    if outcome["status"] != "ok" and outcome["verdict"].get("task"):
        host = task.hosts[outcome["verdict"]["rank"]]
        raise TaskStoppedError({"host": host, **outcome["verdict"]})
    yield pyarrow.RecordBatch.from_pydict({"outcome": [json.dumps(outcome)]})


class _Task:
    def __init__(self, spec: GangSpec, context: Any, stack: contextlib.ExitStack) -> None:
        self.spec = spec
        self.context = context
        self.stack = stack
        self.partition = int(context.partitionId())
        self.host = socket.gethostname()
        self.inbox: queue.Queue[tuple[str, Any]] = queue.Queue()
        # Spark reports the host of every task, so that ranks are assigned without a gather.
        self.task_hosts = [i.address.rpartition(":")[0] for i in context.getTaskInfos()]
        self.size = len(self.task_hosts)
        self.place = rank_places(self.task_hosts)[self.partition]
        self.rank = self.place.rank
        self.hosts: list[str] = []
        self.begun = time.monotonic()
        self.peak_rss_mb = 0.0
        self.events: list[dict[str, Any]] = []
        self.event_file: GrowingFile | None = None
        self.control: ControlServer | None = None
        self.client: ControlClient | None = None

    def run(self) -> dict[str, Any]:
        message: dict[str, Any] = {}
        try:
            message = self._prepare()
        except Exception as error:  # noqa: BLE001 - reported to the other tasks
            message = {"problem": self._problem(error)}
        gathered = [json.loads(text) for text in self.context.allGather(json.dumps(message))]
        problems = [m["problem"] for m in gathered if "problem" in m]
        if problems:
            return self._outcome("failed", verdict=problems[0])
        try:
            return self._take_part(gathered)
        except Exception as error:  # noqa: BLE001 - reported to the other tasks
            return self._fail(self._problem(error))

    def _prepare(self) -> dict[str, Any]:
        """Start the child and, on rank 0, the servers; return this task's address."""
        check_modules(self.spec.required)
        self.gpus = tuple(
            str(a)
            for name, resource in self.context.resources().items()
            if name == "gpu"
            for a in resource.addresses
        )
        self.cpus = int(self.context.cpus())
        address = own_address(self.task_hosts, self.partition)
        if any(module.partition(".")[0] == "horovod" for module in self.spec.required):
            check_own_name(address)
        message: dict[str, Any] = {}
        if self.rank == 0:
            self.control = ControlServer(
                address,
                self.size,
                join_seconds=self.spec.start_seconds,
                stall_seconds=self.spec.stall_seconds,
                silence_seconds=self.spec.silence_seconds,
            )
            self.stack.callback(self.control.close)
            rendezvous = self.stack.enter_context(RendezvousServer(address))
            message = {
                "control": [address, self.control.port, self.control.token],
                "rendezvous": rendezvous.environment,
            }
        self.interface = interface_of(address)
        log: GrowingFile | None = None
        if self.spec.log_folder is not None:
            log = self._open(f"rank-{self.rank}.log")
            if self.rank == 0:
                self.event_file = self._open(EVENTS_FILE)
                self._publish({"gang": self.spec.gang})
        self.child = RankProcess(
            self.spec.modules,
            process_environment(self.cpus, self.gpus, self.spec.environment),
            self.inbox,
            log.stream if log is not None else None,
            # Forking a process that has loaded CUDA is not known to be safe.
            warm_seconds=0.0 if self.gpus else self.spec.warm_seconds,
        )
        self.stack.callback(self.child.kill)
        return {**message, "peer": asdict(Peer(self.host, address, os.getpid(), self.gpus))}

    def _open(self, name: str) -> GrowingFile:
        assert self.spec.log_folder is not None
        file = GrowingFile(self.spec.log_folder, name)
        self.stack.callback(_close_quietly, file)
        return file

    def _take_part(self, gathered: list[dict[str, Any]]) -> dict[str, Any]:
        peers = [Peer(**m["peer"]) for m in gathered]
        ranks = [s.rank for s in rank_places(self.task_hosts)]
        hosts = (p.host for p in peers)
        self.hosts = [host for _, host in sorted(zip(ranks, hosts, strict=True))]
        address, port, token = gathered[0]["control"]
        try:
            self.client = ControlClient(
                address,
                port,
                token,
                self.rank,
                lambda record: self.inbox.put(("stop", record)),
                seconds=self.spec.start_seconds,
                silence_seconds=self.spec.silence_seconds,
            )
        except ConnectionError:
            # A rank failed so early that the server has ended; rank 0's task knows which.
            return self._outcome("stopped", verdict=SERVER_GONE)
        self.stack.callback(self.client.close)
        place = {
            **asdict(self.place),
            "size": self.size,
            "hosts": self.hosts,
            "cpus": self.cpus,
            "gpus": self.gpus,
            "gpu_shared": _shares_gpu(peers, self.partition),
        }
        environment = horovod_environment(
            self.place,
            self.size,
            self.task_hosts[self.partition],
            self.interface,
            self.spec.start_seconds,
            gathered[0]["rendezvous"],
        )
        beat = heartbeat_seconds(self.spec.silence_seconds)
        self.child.begin(place, environment, self.spec.work, beat)
        return self._watch()

    def _watch(self) -> dict[str, Any]:
        """Follow the child until it ends, falls silent, or another rank has failed."""
        result: dict[str, Any] | None = None
        error: dict[str, Any] | None = None
        clock, silence = ObservedTime(), self.spec.silence_seconds
        started, heard, count = False, clock(), 0
        begun = time.monotonic()  # not earlier: the other tasks may have come late
        memory = RankMemory(self.spec.memory_limit)
        poll = 1.0 if memory.limit is None else POLL_SECONDS
        assert self.client is not None
        while True:
            # Heartbeats come during the start too.
            if not started and time.monotonic() - begun > self.spec.start_seconds:
                return self._fail({"kind": "not_started", "seconds": self.spec.start_seconds})
            if started and (excess := memory.excess(self.child.pid)) is not None:
                return self._fail(excess)
            try:
                kind, item = self.inbox.get(timeout=poll)
            except queue.Empty:
                if started and silence and clock() - heard > silence:
                    return self._fail({"kind": "silent", "seconds": silence})
                continue
            if kind == "stop":
                # The stacks show what each rank of a stalled gang waits for.
                stalled = item.get("kind") == "stalled"
                tail = self.child.stacks() if stalled else self.child.tail()
                self.child.kill()
                return self._outcome("stopped", verdict=item, tail=tail)
            if kind == "exit":
                break
            heard = clock()
            self.peak_rss_mb = item.pop("peak_rss_mb", self.peak_rss_mb)
            match item["event"]:
                case "started":
                    started = True
                    memory.base = item["resident"]
                case "result":
                    result = item
                case "error":
                    error = item
                case "heartbeat":
                    if item["count"] != count:
                        count = item["count"]
                        self.client.advanced(count, item["doing"][:_DOING_LENGTH])
                case _:
                    self._publish(item)
        if result is not None and item == 0:
            return self._finish(result["value"])
        return self._fail(self._exit(item, error))

    def _finish(self, value: Any) -> dict[str, Any]:
        assert self.client is not None
        self.client.done()
        if self.control is None:
            return self._outcome("ok", value=value)
        self.control.wait()
        if self.control.verdict is not None:
            return self._outcome("stopped", verdict=self.control.verdict)
        return self._outcome("ok", value=value)

    def _exit(self, code: int, error: dict[str, Any] | None) -> dict[str, Any]:
        tail = self.child.tail()
        if error is None:
            return {"kind": "died", "exit_code": code, "tail": tail}
        text = f"{error['type']}: {error['message']}"
        echo = any(sign in text for sign in _ECHOES)
        return {"kind": "raised", "exit_code": code, "error": error, "echo": echo, "tail": tail}

    def _fail(self, record: dict[str, Any]) -> dict[str, Any]:
        """Report a failure to the gang; return the outcome with the gang's first failure."""
        record = {"rank": self.rank, "host": self.host, **record}
        if hasattr(self, "child"):
            record.setdefault("tail", self.child.tail())
            self.child.kill()
        if self.client is None:
            return self._outcome("failed", verdict=record)
        self.client.failed(record)
        deadline = time.monotonic() + _VERDICT_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                kind, item = self.inbox.get(timeout=left)
                if kind == "stop":
                    tail = record["tail"] if hasattr(self, "child") else []
                    return self._outcome("failed", verdict=item, tail=tail)
        return self._outcome("failed", verdict=record)

    def _problem(self, error: Exception) -> dict[str, Any]:
        record: dict[str, Any] = {
            "rank": self.rank,
            "host": self.host,
            "kind": "raised",
            "error": {"type": type(error).__name__, "message": str(error)},
        }
        if isinstance(error, SparkMLDistError):
            record["error"]["raised"] = error.to_dict()
        return record

    def _publish(self, event: dict[str, Any]) -> None:
        if "event" in event and len(self.events) < _MOST_EVENTS:
            self.events.append(event)
        if self.event_file is not None:
            with contextlib.suppress(OSError, ValueError):
                self.event_file.stream.write(json.dumps(event).encode() + b"\n")
                self.event_file.stream.flush()

    def _outcome(self, status: str, **fields: Any) -> dict[str, Any]:
        return {
            "rank": self.rank,
            "host": self.host,
            "status": status,
            "seconds": time.monotonic() - self.begun,
            "peak_rss_mb": self.peak_rss_mb,
            "events": self.events,
            **fields,
        }


def _shares_gpu(peers: list[Peer], own: int) -> bool:
    """Tell whether another rank on this host has one of the GPUs of task `own`."""
    here = [p for i, p in enumerate(peers) if i != own and p.host == peers[own].host]
    return any(set(p.gpus) & set(peers[own].gpus) for p in here)


def _close_quietly(file: GrowingFile) -> None:
    # A log that cannot be uploaded must not fail a rank that has ended well.
    with contextlib.suppress(Exception):
        file.close()
