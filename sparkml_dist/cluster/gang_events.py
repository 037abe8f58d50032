"""Reads the events of rank 0 on the driver while the gang runs."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

from sparkml_dist.cluster.gang_logs import EVENTS_FILE
from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.filesystem import Folder, local_path

__all__ = ["EventTail"]

_logger = logging.getLogger(__name__)

_LOCAL_POLL_SECONDS = 0.3
_REMOTE_POLL_SECONDS = 2.0


class EventTail:
    """Passes rank 0's events to a callback on the driver, in order, each once.

    The events are read from the log folder: a local path that driver and executors share, or any
    URI that both can open. This works under Connect too, where executors cannot reach the client.
    Without a folder, or where the driver sees another disk, all events come at the end.

    Parameters
    ----------
    folder : Folder or None
        The log folder.
    gang : str
        Name of the gang; events of an earlier gang in the same folder are skipped.
    on_event : callable or None
        Called with each event, from a thread of this object while the gang runs.

    Attributes
    ----------
    begun : threading.Event
        Set once rank 0's task is known to run.
    """

    def __init__(
        self, folder: Folder | None, gang: str, on_event: Callable[[dict[str, Any]], None] | None
    ) -> None:
        self._folder = folder
        local = local_path(folder.location) if folder is not None else None
        self._path = os.path.join(local, EVENTS_FILE) if local is not None else None
        self._gang = gang
        self._on_event = on_event
        self._offset = 0
        self._seen = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.begun = threading.Event()

    def __enter__(self) -> EventTail:
        if self._folder is not None:
            self._thread = threading.Thread(
                target=self._follow, name="sparkml_dist-events", daemon=True
            )
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def finish(self, events: Sequence[dict[str, Any]]) -> None:
        """Pass on those of `events` (all of rank 0's) that were not read from the file yet."""
        self.__exit__()
        for event in events[self._seen :]:
            self._notify(event)
        self._seen = max(self._seen, len(events))

    def _notify(self, event: dict[str, Any]) -> None:
        try:
            if self._on_event is not None:
                self._on_event(event)
        except Exception:  # a failing callback must not end the gang
            _logger.exception("the callback for a gang's events failed")

    def _follow(self) -> None:
        pause = _LOCAL_POLL_SECONDS if self._path is not None else _REMOTE_POLL_SECONDS
        while not self._stop.wait(pause):
            for event in self._new_events():
                self._seen += 1
                self._notify(event)

    def _new_events(self) -> list[dict[str, Any]]:
        try:
            lines = self._read().splitlines(keepends=True)
            whole = [line for line in lines if line.endswith(b"\n")]
            length = sum(map(len, whole))
            parsed = [json.loads(line) for line in whole]
        except (OSError, ValueError, RecursionError, StorageError):
            return []
        # Others may write to the folder too: lines that are no events of this gang are skipped.
        events = [event for event in parsed if isinstance(event, dict)]
        if self._offset == 0 and parsed:
            if parsed[0] not in events or events.pop(0).get("gang") != self._gang:
                return []
            self.begun.set()
        self._offset += length
        return events

    def _read(self) -> bytes:
        """Return the bytes of the file after the lines that were read."""
        if self._path is not None:
            with open(self._path, "rb") as stream:
                stream.seek(self._offset)
                return stream.read()
        assert self._folder is not None
        if self._folder.size(EVENTS_FILE) <= self._offset:
            return b""
        return self._folder.read_bytes(EVENTS_FILE)[self._offset :]
