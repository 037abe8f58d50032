"""The main program of a rank: a fresh process that runs one function and reports through a pipe.

Started by `sparkml_dist.cluster.rank_process` as ``python -m sparkml_dist.cluster.rank_main FD
MODULE…``, and connected to its parent by:
MODULE…`` with these lines to its parent:

- descriptor ``FD``: events as JSON lines (``started``, ``heartbeat``, ``result``, ``error``, and
  the events of the function);
- standard input: two frames, the environment and place as JSON, then the function and its argument
  as a pickle. Nothing follows: the end of this stream means that the parent has ended;

The modules of the command line are imported before the frames are read, while Spark still starts
the gang. The signal `STACKS` makes the process write the stacks of its threads to the log.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import importlib
import json
import os
import queue
import resource
import signal
import socket
import struct
import sys
import threading
import traceback
from typing import Any, BinaryIO

from sparkml_dist.cluster.memory import resident_bytes
from sparkml_dist.cluster.rank_context import Advances, EventWriter, RankContext
from sparkml_dist.errors import ResourceError, SparkMLDistError

__all__ = ["STACKS", "main"]

STACKS = signal.SIGUSR1
_PR_SET_PDEATHSIG = 1
_PARENT_GONE = 70
# Bounds of an error's texts: messages between tasks are bounded.
_LONGEST_TRACE = _LONGEST_TEXT = 20_000


def main(arguments: list[str]) -> None:
    """Run the rank; never return, so that no exit handler can hang on a dead gang."""
    descriptor = int(arguments[0])
    os.set_inheritable(descriptor, False)
    faulthandler.enable()
    faulthandler.register(STACKS, all_threads=True)
    _die_with_parent()
    events, advances = EventWriter(descriptor), Advances()
    inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    _in_thread(_read_frames, sys.stdin.buffer, inbox)
    _in_thread(_beat, events, advances)
    status = 1
    try:
        result = _run(arguments[1:], events, advances, inbox)
        events.write("result", value=result, peak_rss_mb=peak_rss_mb())
        status = 0
    except BaseException as error:  # noqa: BLE001 - reported to the parent
        traceback.print_exc()
        events.write("error", **_describe(error), peak_rss_mb=peak_rss_mb())
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def peak_rss_mb() -> float:
    """Return the largest resident size of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _run(
    modules: list[str],
    events: EventWriter,
    advances: Advances,
    inbox: queue.SimpleQueue[bytes],
) -> Any:
    for name in modules:
        _import(name)
    frame = json.loads(inbox.get())
    os.environ.update(frame["environment"])
    advances.heartbeat_seconds = frame["heartbeat_seconds"]
    payload = inbox.get()
    events.write("started", resident=resident_bytes())

    import pickle

    target, argument = pickle.loads(payload)  # noqa: S301 - from the parent, by pipe
    del payload
    place = frame["place"]
    context = RankContext(
        **{**place, "hosts": tuple(place["hosts"]), "gpus": tuple(place["gpus"])},
        _events=events,
        _advances=advances,
    )
    return target(context, argument)


def _import(name: str) -> None:
    try:
        importlib.import_module(name)
    except ImportError as error:  # Horovod raises it too when built without TensorFlow
        traceback.print_exc()
        raise ResourceError(
            "rank_imports",
            f"The interpreter {sys.executable} on {socket.gethostname()} cannot import {name}: "
            f"{str(error).strip().splitlines()[0] if str(error).strip() else repr(error)}",
            "Install the same environment on every worker, with Horovod for its TensorFlow "
            "(sparkml-dist build-horovod), or ship it with --archives (sparkml-dist pack).",
        ) from error


def _describe(error: BaseException) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "type": type(error).__name__,
        "message": str(error)[:_LONGEST_TEXT],
        "trace": "".join(traceback.format_exception(error))[-_LONGEST_TRACE:],
    }
    if isinstance(error, SparkMLDistError):
        fields["raised"] = {k: v[:_LONGEST_TEXT] for k, v in error.to_dict().items()}
    return fields


def _die_with_parent() -> None:
    # For a parent that is killed while this process is stuck in C code; otherwise the end of
    # standard input suffices.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _read_frames(stream: BinaryIO, inbox: queue.SimpleQueue[bytes]) -> None:
    while len(head := stream.read(8)) == 8:
        (length,) = struct.unpack(">Q", head)
        inbox.put(stream.read(length))
    os._exit(_PARENT_GONE)


def _beat(events: EventWriter, advances: Advances) -> None:
    pause = threading.Event()
    while not pause.wait(advances.heartbeat_seconds):
        try:
            events.write(
                "heartbeat",
                peak_rss_mb=peak_rss_mb(),
                count=advances.count,
                doing=advances.doing,
            )
        except OSError:
            os._exit(_PARENT_GONE)


def _in_thread(function: Any, *arguments: Any) -> None:
    threading.Thread(target=function, args=arguments, daemon=True).start()


if __name__ == "__main__":
    main(sys.argv[1:])
