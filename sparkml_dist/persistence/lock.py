"""One writer at a time in a folder: a lock that names its owner and ends when the owner crashes."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
from pyarrow import fs as pafs

from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.filesystem import LOCK_PREFIX, Folder
from sparkml_dist.persistence.locations import local_path

__all__ = ["FolderLock"]

_HEARTBEAT_SECONDS = 10.0
_MISSED_HEARTBEATS = 6
_SETTLE_SECONDS = 2.0
_TRIES = 10


class FolderLock:
    """Keeps other runs out of a folder while this one writes there.

    Not all object stores can create a file only if it does not exist. The lock needs only what the
    common ones guarantee: a file is visible to every listing after it was written. Where listings
    lag, two runs that start within the lag may both hold the lock. A run writes an
    entry with a unique name, lists the folder, and holds the lock when no other entry has a live
    owner. If two runs see each other, the later one withdraws.

    An owner on this machine is alive while its process runs. An owner on another machine is alive
    while it renews its entry, by the clock of the store; six missed renewals end its lock.

    Parameters
    ----------
    folder : Folder
        Created when missing, and removed at release when it is empty.
    application : str, default=""
        The owner's name in messages of other runs, such as a job's name and run.
    heartbeat_seconds : float, default=10.0
        Seconds between two renewals.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from sparkml_dist.persistence.filesystem import Folder
    >>> folder = Folder.at(mkdtemp()).child("out")
    >>> with FolderLock(folder, application="nightly") as lock:
    ...     folder.write_bytes("next.txt", b"")  # beside the existing files
    ...     lock.check()  # before replacing them
    """

    def __init__(
        self,
        folder: Folder,
        *,
        application: str = "",
        heartbeat_seconds: float = _HEARTBEAT_SECONDS,
    ) -> None:
        self._folder = folder
        self._application = application
        self._heartbeat_seconds = heartbeat_seconds
        self._name = ""
        self._made: list[str] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lost = False

    @property
    def held(self) -> bool:
        """Whether this run has the lock."""
        return self._thread is not None and not self._lost

    def acquire(self) -> None:
        """Take the lock immediately, or raise.

        Raises
        ------
        StorageError
            ``output_busy`` when another run has it; those of `Folder` when the folder cannot be
            written to.
        """
        self._made = _missing_folders(self._folder)
        # Earlier entries have smaller names.
        self._name = f"{LOCK_PREFIX}{time.time_ns():020d}-{uuid.uuid4().hex[:12]}.json"
        self._lost = False
        self._stop.clear()
        try:
            self._write()
            until = time.monotonic() + _SETTLE_SECONDS
            while rivals := self._rivals():
                if min(rivals) < self._name or time.monotonic() > until:
                    raise self._busy(min(rivals))
                time.sleep(0.1)  # the others withdraw, unless one of them holds the lock
        except BaseException:
            self._remove_entry()
            raise
        self._thread = threading.Thread(target=self._renew, name="folder-lock", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise if another run took the lock because this one was stopped for too long.

        Call it before replacing existing files.

        Raises
        ------
        StorageError
            ``lock_lost``.
        """
        if self._lost or not self._folder.exists(self._name):
            self._lost = True
            raise StorageError(
                "lock_lost",
                f"The lock of {self._folder.location!r} was lost: its file was deleted, or this "
                "run was stopped for so long that another one took the lock.",
                "Check whether another run writes there; start again when it has ended.",
            )

    def release(self) -> None:
        """Release the lock; no error when it is not held, or the folder is gone."""
        if self._thread is None:
            return
        self._stop.set()
        self._thread.join()
        self._thread = None
        self._remove_entry()

    def __enter__(self) -> FolderLock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    # -- entries ----------------------------------------------------------------------------

    def _write(self) -> None:
        # Without a temporary name: stores write an object atomically, and on a disk an entry that
        # cannot be parsed yet counts as that of another machine.
        content = json.dumps({**_this_process(), "application": self._application}).encode()
        path = self._folder.path(self._name)
        for left in reversed(range(_TRIES)):
            self._folder.create()
            try:
                with self._folder.filesystem.open_output_stream(path, compression=None) as stream:
                    stream.write(content)
                return
            except (OSError, pa.ArrowException) as error:
                # Another run that also created the folder may have removed it in between.
                if not (left and isinstance(error, FileNotFoundError)):
                    raise self._folder.failed("lock", "", error) from error

    def _rivals(self) -> list[str]:
        """Return the entries of other live owners; delete those of dead ones."""
        entries = {i.base_name: i for i in self._folder.files() if _is_entry(i)}
        # By its name: a store's listing may not have it yet.
        mine = entries.pop(self._name, None) or self._folder.info(self._name)
        if mine.type == pafs.FileType.NotFound:  # the folder was replaced or deleted meanwhile
            raise self._busy(None)
        limit = self._heartbeat_seconds * _MISSED_HEARTBEATS
        living = []
        for name, info in entries.items():
            if self._lives(info, mine, limit):
                living.append(name)
            else:
                self._folder.delete_file(name)
        return living

    def _lives(self, info: pafs.FileInfo, mine: pafs.FileInfo, limit: float) -> bool:
        owner = self._owner(info.base_name)
        me = _this_process()
        if owner.get("machine") == me["machine"]:
            return _runs(owner)
        # Both times are the store's: clocks of machines may differ.
        times = (info.mtime_ns, mine.mtime_ns)
        return None in times or (times[1] - times[0]) / 1e9 < limit

    def _owner(self, name: str) -> dict[str, Any]:
        try:
            found = self._folder.read_json(name)
        except StorageError:
            return {}
        return found if isinstance(found, dict) else {}

    def _busy(self, rival: str | None) -> StorageError:
        owner = {} if rival is None else self._owner(rival)
        who = ", ".join(f"{k} {owner[k]}" for k in ("host", "pid", "user") if owner.get(k))
        run = str(owner.get("application") or "another run")
        wait = self._heartbeat_seconds * _MISSED_HEARTBEATS
        return StorageError(
            "output_busy",
            f"{self._folder.location!r} is being written by {run}{f' ({who})' if who else ''}.",
            "Wait until it has ended, or choose another folder. After a crash on another machine "
            f"the lock ends after {wait:.0f} s.",
        )

    def _renew(self) -> None:
        path = local_path(self._folder.uri(self._name))
        while not self._stop.wait(self._heartbeat_seconds):
            try:
                if path is not None:
                    os.utime(path)
                elif self._folder.exists(self._name):
                    self._write()
                else:
                    self._lost = True
            except FileNotFoundError:
                self._lost = True
            except (OSError, StorageError):
                continue  # the store may answer at the next renewal
            if self._lost:
                return

    def _remove_entry(self) -> None:
        with contextlib.suppress(StorageError):
            self._folder.delete_file(self._name)
        with contextlib.suppress(OSError):
            for path in self._made:
                os.rmdir(path)


def _is_entry(info: pafs.FileInfo) -> bool:
    return str(info.base_name).startswith(LOCK_PREFIX)


def _missing_folders(folder: Folder) -> list[str]:
    """Return the local folders that creating `folder` will create, the innermost first."""
    place = local_path(folder.location)
    if place is None:
        return []
    return [str(p) for p in (Path(place), *Path(place).parents) if not p.exists()]


def _read(path: str, read: Callable[[str], str]) -> str:
    try:
        return read(path).strip()
    except OSError:  # not Linux
        return ""


@cache
def _machine() -> str:
    """Return a name of this process table: host, boot and process namespace (container)."""
    boot = _read("/proc/sys/kernel/random/boot_id", lambda p: Path(p).read_text())
    return f"{socket.gethostname()}/{boot}/{_read('/proc/self/ns/pid', os.readlink)}"


def _this_process() -> dict[str, Any]:
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # no user entry, as in many containers
        user = str(os.getuid())
    pid = os.getpid()
    return {
        "host": socket.gethostname(),
        "pid": pid,
        "started": psutil.Process(pid).create_time(),
        "machine": _machine(),
        "user": user,
    }


def _runs(owner: dict[str, Any]) -> bool:
    """Tell whether the process of an entry still runs; its pid may belong to a later process."""
    try:
        process = psutil.Process(int(owner["pid"]))
        same = abs(process.create_time() - float(owner["started"])) < 1.0
        return same and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, KeyError, TypeError, ValueError):
        return False
