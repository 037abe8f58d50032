"""A rank's process, forked from the executor's `sparkml_dist.cluster.fork_server`."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence

from sparkml_dist.cluster.connection_acceptor import BACKLOG
from sparkml_dist.cluster.fork_server import send_request
from sparkml_dist.cluster.same_user import check_same_user
from sparkml_dist.cluster.spawned_child import SpawnedChild

__all__ = ["ForkedChild", "server_folder"]

_SOCKET, _LOCK = "sparkml_dist-ranks.socket", "sparkml_dist-ranks.lock"
# Fork servers that this process started; kept so that they are reaped.
_servers: list[subprocess.Popen[bytes]] = []


def server_folder() -> str | None:
    """Return the folder of the executor's fork server; None where it cannot run.

    The folder is Spark's local directory of the executor, which lives as long as the executor.
    """
    folder = os.environ.get("SPARK_LOCAL_DIRS", "").partition(",")[0]
    return folder if os.path.isdir(folder) and hasattr(os, "pidfd_open") else None


class ForkedChild:
    """A rank's process, forked from the fork server, or spawned when the server fails.

    Parameters
    ----------
    folder : str
        `server_folder`.
    seconds : float
        How long a server without ranks stays.
    modules : sequence of str
        Modules that the rank imports at its start.
    environment : mapping of str to str
        The rank's whole environment.
    descriptors : sequence of int
        The rank's standard input, output and events; closed here once the rank has them.
    """

    def __init__(
        self,
        folder: str,
        seconds: float,
        modules: Sequence[str],
        environment: Mapping[str, str],
        descriptors: Sequence[int],
    ) -> None:
        self._folder = folder
        self._seconds = seconds
        self._modules = modules
        self._environment = environment
        self._descriptors = descriptors
        self._pid: int | None = None
        self._spawned: SpawnedChild | None = None
        self._connection: socket.socket | None = None
        self._killed = False
        self._lock = threading.Lock()
        self._code = -int(signal.SIGKILL)  # for a server that dies, and its ranks with it
        self._ended = threading.Event()
        threading.Thread(target=self._follow, daemon=True).start()

    @property
    def pid(self) -> int | None:
        """The process's id; None before it has started."""
        return self._pid

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the process to end; return its exit code, or minus the signal.

        Raises
        ------
        subprocess.TimeoutExpired
        """
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired("rank", timeout or 0.0)
        return self._code

    def poll(self) -> int | None:
        """Return the exit code, or minus the signal; None while it runs."""
        return self._code if self._ended.is_set() else None

    def kill(self) -> None:
        """Kill the process and those it started; no error when it is dead already."""
        with self._lock:
            self._killed = True
            if self._connection is not None:
                with contextlib.suppress(OSError):
                    self._connection.shutdown(socket.SHUT_WR)
            if self._spawned is not None and self._spawned.poll() is None:
                self._spawned.kill()

    def _follow(self) -> None:
        try:
            # Twice: a server that is leaving, or has another environment, makes room for a new one.
            if not (self._fork() or self._fork()):
                self._spawn()
        finally:
            self._ended.set()

    def _fork(self) -> bool:
        """Fork the rank on the server and wait for its end; tell whether it was forked."""
        connection = None
        try:
            connection = _connected(self._folder, self._environment, self._seconds)
            check_same_user(connection)  # the request holds the whole environment
            send_request(connection, self._modules, self._environment, self._descriptors)
            with self._lock:
                self._connection = connection
            if self._killed:
                self.kill()
            with connection.makefile("rb") as replies:
                self._pid = json.loads(replies.readline() or b"{}").get("pid")
                if self._pid is None:
                    return False
                for descriptor in self._descriptors:
                    os.close(descriptor)
                with contextlib.suppress(OSError, ValueError):
                    self._code = json.loads(replies.readline())["exit"]
            return True
        except (OSError, ValueError):
            return False
        finally:
            with self._lock:
                self._connection = None
            if connection is not None:
                connection.close()

    def _spawn(self) -> None:
        with self._lock:
            if self._killed:
                for descriptor in self._descriptors:
                    os.close(descriptor)
                return
            self._spawned = SpawnedChild(self._modules, self._environment, self._descriptors)
        self._pid = self._spawned.pid
        self._code = self._spawned.wait()


def _connected(folder: str, environment: Mapping[str, str], seconds: float) -> socket.socket:
    """Connect to the executor's server; start the server when there is none."""
    with _reachable(folder) as home, open(f"{folder}/{_LOCK}", "a", opener=_private) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        place = f"{home}/{_SOCKET}"
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(place)
            return connection
        except (FileNotFoundError, ConnectionRefusedError):
            _start_server(place, environment, seconds)
            connection.connect(place)
            return connection
        except BaseException:
            connection.close()
            raise


def _private(path: str, flags: int) -> int:
    # Another user who can open the file could lock it and block every gang.
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _start_server(place: str, environment: Mapping[str, str], seconds: float) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(place)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place)
        os.chmod(place, 0o600)
        listener.listen(BACKLOG)
        # Spark may end this worker, the server's parent, at any time. The server follows the
        # worker's parent, which ends with the executor.
        server = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "sparkml_dist.cluster.fork_server",
                str(listener.fileno()),
                str(os.getppid()),
                str(seconds),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
            env=dict(environment),
            start_new_session=True,
        )
    _servers[:] = [s for s in _servers if s.poll() is None] + [server]


@contextlib.contextmanager
def _reachable(folder: str) -> Iterator[str]:
    """Give a short path of a folder: the address of a Unix socket has room for 107 bytes."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
