"""The files that a gang writes to its log folder.

``rank-N.log`` is the output of rank N; ``events.jsonl`` holds the events of rank 0 after a line
that names the gang. All grow while the gang runs: on a local disk at once; elsewhere (object stores
cannot append) the whole file is replaced atomically every few seconds.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import time
from typing import BinaryIO

from sparkml_dist.persistence.filesystem import Folder, local_path

__all__ = ["EVENTS_FILE", "GrowingFile"]

_logger = logging.getLogger(__name__)

EVENTS_FILE = "events.jsonl"
_UPLOAD_SECONDS = 2.0
# Uploads take at most this share of the time, for a log of any size.
_UPLOAD_SHARE = 0.05
_CHUNK = 1 << 20


class GrowingFile:
    """A file in a folder that grows over time.

    Parameters
    ----------
    folder : Folder
        Folder of the file; created when missing.
    name : str
        Name of the file.

    Attributes
    ----------
    stream : file
        Binary file to write to; flush it to make the written bytes visible.
    """

    def __init__(self, folder: Folder, name: str) -> None:
        self._folder = folder
        self._name = name
        self._uploaded = -1
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        local = local_path(folder.location)
        self.stream: BinaryIO
        if local is not None:
            os.makedirs(local, exist_ok=True)
            self.stream = open(os.path.join(local, name), "wb")  # noqa: SIM115
        else:
            self.stream = tempfile.TemporaryFile()  # noqa: SIM115
            self._thread = threading.Thread(
                target=self._keep_uploading, name=f"sparkml_dist-{name}", daemon=True
            )
            self._thread.start()

    def close(self) -> None:
        """Close the file; upload the rest of a remote one."""
        if self.stream.closed:
            return
        self.stream.flush()
        if self._thread is not None:
            self._closing.set()
            self._thread.join()
            self._upload()
        self.stream.close()

    def _keep_uploading(self) -> None:
        pause = 0.0
        while not self._closing.wait(pause):
            begun = time.monotonic()
            try:
                self._upload()
            except Exception:  # a later upload may succeed; a log must not end the gang
                _logger.warning("%s cannot be written yet", self._name, exc_info=True)
            pause = max(_UPLOAD_SECONDS, (time.monotonic() - begun) / _UPLOAD_SHARE)

    def _upload(self) -> None:
        descriptor = self.stream.fileno()
        size = os.fstat(descriptor).st_size
        if size == self._uploaded:
            return
        with self._folder.committing(self._name) as sink:
            for offset in range(0, size, _CHUNK):
                sink.write(os.pread(descriptor, min(_CHUNK, size - offset), offset))
        self._uploaded = size
