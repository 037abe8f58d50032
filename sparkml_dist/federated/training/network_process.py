"""A process with Keras that computes for this one, which stays without TensorFlow."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy.typing as npt

from sparkml_dist.cluster.rank_environment import process_environment
from sparkml_dist.errors import (
    ConfigurationError,
    DataError,
    ResourceError,
    SparkMLDistError,
    StorageError,
    TrainingError,
)
from sparkml_dist.federated.message import Message

__all__ = ["NetworkProcess", "read_message", "write_message"]

_LENGTH_BYTES = 8
_ERRORS: dict[str, type[SparkMLDistError]] = {
    kind.__name__: kind
    for kind in (ConfigurationError, DataError, ResourceError, StorageError, TrainingError)
}


def write_message(stream: Any, message: Message) -> None:
    """Write a message and its length to a pipe."""
    data = message.pack()
    stream.write(len(data).to_bytes(_LENGTH_BYTES, "little"))
    stream.write(data)
    stream.flush()


def read_message(stream: Any) -> Message | None:
    """Return the next message of a pipe; None at its end."""
    head = stream.read(_LENGTH_BYTES)
    if len(head) < _LENGTH_BYTES:
        return None
    size = int.from_bytes(head, "little")
    data = stream.read(size)
    return Message.unpack(data, limit=size) if len(data) == size else None


class NetworkProcess:
    """A child process that runs `network_main`, for all networks of this process.

    It ends when this process does, since its input ends then.
    """

    _shared: ClassVar[NetworkProcess | None] = None
    _guard: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sparkml_dist.federated.training.network_main"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=process_environment(_cpus(), (), {"KERAS_BACKEND": "tensorflow"}),
            start_new_session=True,
        )

    @classmethod
    def shared(cls) -> NetworkProcess:
        """Return the child of this process, which is started when it is first needed."""
        with cls._guard:
            found = cls._shared
            if found is None or found._owner != os.getpid() or found._process.poll() is not None:
                found = cls._shared = cls()
            return found

    def ask(
        self, operation: str, facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]
    ) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Return facts and arrays of an operation's result.

        Raises
        ------
        SparkMLDistError
            What the operation raised; TrainingError ``task_failed`` where the process died.
        """
        with self._lock:
            assert self._process.stdin is not None and self._process.stdout is not None
            try:
                write_message(self._process.stdin, Message(operation, 0, "", facts, arrays))
                reply = read_message(self._process.stdout)
            except BrokenPipeError:
                reply = None
        if reply is None:
            raise TrainingError(
                "task_failed",
                f"The process that computes with the network ended with code "
                f"{self._process.wait()}.",
                "It may have been out of memory: its own output is in the worker's log.",
            )
        if reply.kind == "error":
            kind = _ERRORS.get(str(reply.facts["type"]), TrainingError)
            raise kind(reply.facts["code"], reply.facts["message"], reply.facts["hint"])
        return dict(reply.facts), dict(reply.arrays)


def _cpus() -> int:
    """Return the cores that the child may use: those of the task, or else of the machine."""
    from pyspark import TaskContext

    context = TaskContext.get()
    return (os.cpu_count() or 1) if context is None else max(1, int(context.cpus()))
