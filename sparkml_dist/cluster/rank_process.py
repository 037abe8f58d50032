"""A rank's process as seen by its Spark task."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import queue
import struct
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from sparkml_dist.cluster.forked_child import ForkedChild, server_folder
from sparkml_dist.cluster.rank_main import STACKS
from sparkml_dist.cluster.spawned_child import SpawnedChild

__all__ = ["RankProcess"]

_LINES_KEPT = 200
_LONGEST_LINE = 4096
_STACK_SECONDS = 2.0
_STACK_LINES = 60


class RankProcess:
    """The child process of one rank; see `sparkml_dist.cluster.rank_main` for its side.

    Parameters
    ----------
    modules : sequence of str
        Modules that the child imports before it waits for `begin`.
    environment : mapping of str to str
        The child's whole environment.
    inbox : queue.Queue
        Receives ``("event", dict)`` and, at the end, ``("exit", return code)``.
    log : file, optional
        Binary file that receives the child's output, line by line.
    warm_seconds : float, default=0
        How long the executor keeps the imported modules for later ranks, which are forked from
        them; 0 for a fresh interpreter.
    """

    def __init__(
        self,
        modules: Sequence[str],
        environment: Mapping[str, str],
        inbox: queue.Queue[tuple[str, Any]],
        log: BinaryIO | None = None,
        warm_seconds: float = 0.0,
    ) -> None:
        self._inbox = inbox
        self._log = log
        self._written = 0
        self._lines: collections.deque[str] = collections.deque(maxlen=_LINES_KEPT)
        source, stdin = os.pipe()
        stdout, output = os.pipe()
        events, child_end = os.pipe()
        self._stdin = os.fdopen(stdin, "wb")
        self._stdout = os.fdopen(stdout, "rb")
        descriptors = (source, output, child_end)
        folder = server_folder() if warm_seconds > 0 and modules else None
        self._child: SpawnedChild | ForkedChild
        if folder is None:
            self._child = SpawnedChild(modules, environment, descriptors)
        else:
            self._child = ForkedChild(folder, warm_seconds, modules, environment, descriptors)
        self._log_thread = threading.Thread(target=self._read_log, daemon=True)
        self._log_thread.start()
        threading.Thread(target=self._read_events, args=(events,), daemon=True).start()

    def begin(
        self,
        place: Mapping[str, Any],
        environment: Mapping[str, str],
        work: bytes,
        heartbeat_seconds: float = 2.0,
    ) -> None:
        """Send the child its place, the rest of its environment, and its work (a pickle).

        The child sends a heartbeat every `heartbeat_seconds`.
        """
        head = json.dumps(
            {"place": place, "environment": environment, "heartbeat_seconds": heartbeat_seconds}
        ).encode()
        with contextlib.suppress(OSError):  # a dead child is reported by its exit
            for frame in (head, work):
                self._stdin.write(struct.pack(">Q", len(frame)))
                self._stdin.write(frame)
            self._stdin.flush()

    @property
    def pid(self) -> int | None:
        """The child's process id; None before it has started."""
        return self._child.pid

    def tail(self, lines: int = 20) -> list[str]:
        """Return the last lines of the child's output; wait briefly for lines on their way."""
        if self._child.poll() is not None:
            self._log_thread.join(timeout=1.0)
        return list(self._lines)[-lines:]

    def stacks(self) -> list[str]:
        """Make the child write the stacks of its threads to its log; return their last lines."""
        before = self._written
        if self._child.pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self._child.pid, STACKS)
        deadline = time.monotonic() + _STACK_SECONDS
        while self._written == before and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.1)  # for the remaining lines
        return list(self._lines)[-(self._written - before or 1) :][-_STACK_LINES:]

    def kill(self) -> None:
        """Kill the child and the processes it started; no error when it is dead already."""
        self._child.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout=5.0)
        with contextlib.suppress(OSError):
            self._stdin.close()
        self._log_thread.join(timeout=1.0)

    def _read_events(self, descriptor: int) -> None:
        with os.fdopen(descriptor, "rb") as stream:
            for line in stream:
                with contextlib.suppress(ValueError):  # a line cut off by the child's death
                    self._inbox.put(("event", json.loads(line)))
        self._inbox.put(("exit", self._child.wait()))

    def _read_log(self) -> None:
        with self._stdout as stream:
            while line := stream.readline(_LONGEST_LINE):
                self._lines.append(line.decode(errors="replace").rstrip())
                self._written += 1
                if self._log is not None:
                    with contextlib.suppress(OSError, ValueError):
                        self._log.write(line)
                        self._log.flush()
