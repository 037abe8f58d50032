"""The files a gang leaves in its log folder, and how the driver follows them.

``rank-N.log`` is the output of rank N, ``events.jsonl`` holds the events of rank 0 below a line
that names the gang. In a folder on a local disk they grow while the gang runs; elsewhere (object
stores cannot append) they appear when it ends.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

from sparkml_dist.persistence.filesystem import Folder, local_path

__all__ = ["EventTail", "GrowingFile"]

_logger = logging.getLogger(__name__)

EVENTS_FILE = "events.jsonl"
_POLL_SECONDS = 0.3


class GrowingFile:
    """A file in a folder that is written to over time.

    Parameters
    ----------
    folder : Folder
        Where it lies; created when missing.
    name : str
        Its name there.
    """

    def __init__(self, folder: Folder, name: str) -> None:
        self._folder = folder
        self._name = name
        local = local_path(folder.location)
        self.stream: BinaryIO
        if local is not None:
            os.makedirs(local, exist_ok=True)
            self._remote = False
            self.stream = open(os.path.join(local, name), "wb")  # noqa: SIM115
        else:
            self._remote = True
            self.stream = tempfile.TemporaryFile()  # noqa: SIM115

    def close(self) -> None:
        """Close the file; where it is remote, bring it there now."""
        if self.stream.closed:
            return
        if self._remote:
            self.stream.seek(0)
            with self._folder.committing(self._name) as sink:
                while chunk := self.stream.read(1 << 20):
                    sink.write(chunk)
        self.stream.close()


class EventTail:
    """Passes rank 0's events to a callback on the driver, in order, each once.

    Parameters
    ----------
    folder : Folder or None
        The log folder; without one all events come at the end.
    gang : str
        Whose events are meant; those of an earlier gang in the same folder are not.
    on_event : callable or None
        Called with each event, while the gang runs from a thread of this object.
    """

    def __init__(
        self, folder: Folder | None, gang: str, on_event: Callable[[dict[str, Any]], None] | None
    ) -> None:
        local = local_path(folder.location) if folder is not None else None
        self._path = os.path.join(local, EVENTS_FILE) if local is not None else None
        self._gang = gang
        self._on_event = on_event
        self._offset = 0
        self._ours = False
        self._seen = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> EventTail:
        if self._path is not None and self._on_event is not None:
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
        """Pass on those of `events` (all of rank 0's) that were not read from the file."""
        self.__exit__()
        for event in events[self._seen :]:
            self._tell(event)
        self._seen = max(self._seen, len(events))

    def _tell(self, event: dict[str, Any]) -> None:
        try:
            if self._on_event is not None:
                self._on_event(event)
        except Exception:  # who watches must not end the gang
            _logger.exception("the callback for a gang's events failed")

    def _follow(self) -> None:
        while not self._stop.wait(_POLL_SECONDS):
            for event in self._fresh():
                self._seen += 1
                self._tell(event)

    def _fresh(self) -> list[dict[str, Any]]:
        assert self._path is not None
        try:
            with open(self._path, "rb") as stream:
                if not self._ours:
                    head = stream.readline()
                    self._ours = head.endswith(b"\n") and json.loads(head).get("gang") == self._gang
                    if not self._ours:
                        return []
                    self._offset = len(head)
                stream.seek(self._offset)
                lines = stream.read().splitlines(keepends=True)
        except (OSError, ValueError):
            return []
        whole = [line for line in lines if line.endswith(b"\n")]
        self._offset += sum(map(len, whole))
        return [json.loads(line) for line in whole]
