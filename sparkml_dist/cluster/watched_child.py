"""Runs pieces of work in a child forked from this process, with limits of time and memory.

Whatever becomes of the child, this process lives on: a piece that raises, hangs, takes too much
memory or is killed is reported with its reason, and the next piece gets a new child.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import pickle
import select
import signal
import struct
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, NoReturn

from sparkml_dist.cluster.memory import PeakMemory, resident_bytes

__all__ = ["Ending", "Limits", "run_watched"]

_HEADER = struct.Struct(">Q")
_PDEATHSIG = 1  # of prctl
# Looked up here: another thread may hold the loader's lock at the time of a fork.
_prctl = getattr(ctypes.CDLL(None), "prctl", None)
_TRACE_LINES = 12
_FIRST_POLL, _LAST_POLL = 0.01, 0.1

Reason = Literal["done", "failed", "timeout", "deadline", "memory", "killed"]


@dataclass(frozen=True)
class Limits:
    """Limits of a piece of work.

    Attributes
    ----------
    seconds : float or None
        Of one piece.
    total_seconds : float or None
        Of all pieces together.
    memory : int or None
        Bytes that a child may take beyond those that it shares with this process at its start.
    """

    seconds: float | None = None
    total_seconds: float | None = None
    memory: int | None = None


@dataclass(frozen=True)
class Ending:
    """How a piece of work ended.

    Attributes
    ----------
    reason : str
        ``"done"``, ``"failed"`` (it raised), ``"timeout"``, ``"deadline"`` (the time of all pieces
        is over), ``"memory"`` or ``"killed"``.
    value : Any
        The return value of a piece that is done.
    message : str
        What happened to a piece that is not.
    trace : str
        Last lines of the trace of a piece that raised.
    peak : int
        Most resident bytes of the child during the piece, with those that it shares with its
        parent; 0 where it was killed by others.
    """

    reason: Reason
    value: Any = None
    message: str = ""
    trace: str = ""
    peak: int = 0


def run_watched(
    work: Callable[[int], Any],
    count: int,
    limits: Limits,
    report: Callable[[int, Ending], None],
) -> None:
    """Call ``work(0)`` … ``work(count - 1)`` in a child, and `report` each end in this process.

    The child is forked: it shares the memory of this process, and pays for what it changes only. It
    goes from piece to piece until one of them ends it. It dies with this process.

    Parameters
    ----------
    work : callable
        Runs in the child. What it returns is pickled, and read in this process.
    count : int
        Number of pieces.
    limits : Limits
    report : callable
        Called with the number of a piece and its end, in order, while the child goes on.

    Notes
    -----
    A thread of its own forks the child. The OpenMP runtime keeps a pool of threads for each thread
    that has called it; the copy of such a thread in a child would wait for ever for a pool that was
    not copied.
    """
    failures: list[BaseException] = []

    def watch() -> None:
        try:
            _watch(work, count, limits, report)
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            failures.append(error)

    # The kernel sends the signal of a parent's death when the thread that forked ends: it stays.
    watcher = threading.Thread(target=watch, name="sparkml_dist-child", daemon=True)
    watcher.start()
    watcher.join()
    if failures:
        raise failures[0]


def _watch(
    work: Callable[[int], Any],
    count: int,
    limits: Limits,
    report: Callable[[int, Ending], None],
) -> None:
    begun = time.monotonic()
    at = 0
    while at < count:
        if limits.total_seconds is not None and time.monotonic() - begun > limits.total_seconds:
            report(at, Ending("deadline", message="The time was over before it began."))
            at += 1
            continue
        at = _Child(work, at, count, limits, begun).follow(report)


class _Child:
    """One forked child, from its first piece to its end."""

    def __init__(
        self, work: Callable[[int], Any], first: int, count: int, limits: Limits, begun: float
    ) -> None:
        self._at, self._count = first, count
        self._limits, self._begun = limits, begun
        self._reading, writing = os.pipe()
        parent = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
            self._pid = os.fork()
        if self._pid == 0:
            _serve(work, first, count, writing, parent)
        os.close(writing)
        self._base = resident_bytes(self._pid)
        self._since = time.monotonic()

    def follow(self, report: Callable[[int, Ending], None]) -> int:
        """Report pieces until the child ends; return the number of the next piece."""
        buffer = bytearray()
        ended: Ending | None = None
        try:
            poll = _FIRST_POLL
            while self._at < self._count:
                ready, _, _ = select.select([self._reading], [], [], poll)
                poll = min(_LAST_POLL, poll * 1.5)
                if ready:
                    part = os.read(self._reading, 1 << 20)
                    if not part:
                        break
                    buffer += part
                    if self._report_frames(buffer, report):
                        poll = _FIRST_POLL
                    continue
                if self._is_dead():  # what it has started may hold the pipe open
                    break
                ended = self._beyond()
                if ended is not None:
                    break
        finally:
            os.close(self._reading)
            status = self._end(kill=self._at < self._count and ended is not None)
        if self._at < self._count:
            report(self._at, ended or _death(status))
            self._at += 1
        return self._at

    def _report_frames(self, buffer: bytearray, report: Callable[[int, Ending], None]) -> bool:
        found = False
        while len(buffer) >= _HEADER.size:
            (length,) = _HEADER.unpack_from(buffer)
            if len(buffer) < _HEADER.size + length:
                break
            frame = bytes(buffer[_HEADER.size : _HEADER.size + length])
            ending = pickle.loads(frame)  # noqa: S301 - of the child that was forked here
            del buffer[: _HEADER.size + length]
            report(self._at, ending)
            self._at += 1
            self._since = time.monotonic()
            found = True
        return found

    def _beyond(self) -> Ending | None:
        """Return the end of a piece that is beyond a limit."""
        now, limits = time.monotonic(), self._limits
        resident = resident_bytes(self._pid)
        if limits.seconds is not None and now - self._since > limits.seconds:
            text = f"It took more than {limits.seconds:g} s."
            return Ending("timeout", message=text, peak=resident)
        if limits.total_seconds is not None and now - self._begun > limits.total_seconds:
            return Ending("deadline", message="The time was over while it ran.", peak=resident)
        if limits.memory is not None:
            taken = resident - self._base
            if taken > limits.memory:
                return Ending(
                    "memory",
                    message=f"It took {taken / 2**20:,.0f} MiB of memory; "
                    f"{limits.memory / 2**20:,.0f} MiB are allowed.",
                    peak=resident,
                )
        return None

    def _is_dead(self) -> bool:
        waited = os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        return waited is not None

    def _end(self, *, kill: bool) -> int:
        """Wait for the child, kill it first if asked, and what it started in any case."""
        if kill:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, signal.SIGKILL)  # before its number is free
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])


def _serve(
    work: Callable[[int], Any], first: int, count: int, writing: int, parent: int
) -> NoReturn:
    """Do the pieces in the child, and end it without any of the parent's farewells."""
    try:
        gc.freeze()  # a collection would touch, and so copy, all that it shares
        os.setsid()
        if _prctl is not None:
            _prctl(_PDEATHSIG, signal.SIGKILL)
        for piece in range(first, count):
            if os.getppid() != parent:
                break
            _send(writing, _done(work, piece))
    finally:
        os._exit(0)


def _done(work: Callable[[int], Any], piece: int) -> bytes:
    with PeakMemory() as memory:
        try:
            value = work(piece)
            done = Ending("done", value, peak=memory.so_far())
            return pickle.dumps(done, pickle.HIGHEST_PROTOCOL)
        except MemoryError:
            ending = Ending("memory", message="Python could not allocate memory.")
        except BaseException as error:  # noqa: BLE001 - SystemExit must not end it silently
            lines = "".join(traceback.format_exception(error)).splitlines()[-_TRACE_LINES:]
            text = f"{type(error).__name__}: {error}"
            ending = Ending("failed", message=text, trace="\n".join(lines))
    return pickle.dumps(replace(ending, peak=memory.peak))


def _send(writing: int, content: bytes) -> None:
    view = memoryview(_HEADER.pack(len(content)) + content)
    while view:
        view = view[os.write(writing, view) :]


def _death(status: int) -> Ending:
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = "?"
        return Ending("killed", message=f"Its process was killed by signal {-status} ({name}).")
    return Ending("killed", message=f"Its process ended with status {status}.")
