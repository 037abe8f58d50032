"""What strangers do to a gang's sockets: crowds at the door, and somebody in the middle."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
import time

HOST = "127.0.0.1"
_HEAD = struct.Struct("!I32s")
_BEFORE = {"server": 32, "rank": 68}  # what each says before its first frame


class ManInTheMiddle:
    """Passes on what a rank and the control server say, until it is told to `meddle`.

    ``change(frame, number)`` returns the list of byte strings that go on in a frame's place; `of`
    is whose frames.
    """

    def __init__(self, port, of, change):
        self._server = (HOST, port)
        self._of, self._change = of, change
        self._meddling = threading.Event()
        self._listener = socket.create_server((HOST, 0))
        self.port = self._listener.getsockname()[1]
        self.seen = []
        self._ends = []
        threading.Thread(target=self._stand, daemon=True).start()

    def meddle(self):
        self._meddling.set()

    def close(self):
        for end in [self._listener, *self._ends]:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _stand(self):
        with contextlib.suppress(OSError):
            while True:
                rank, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                self._ends += [rank, server]
                for source, sink, whose in ((rank, server, "rank"), (server, rank, "server")):
                    threading.Thread(
                        target=self._pass_on, args=(source, sink, whose), daemon=True
                    ).start()

    def _pass_on(self, source, sink, whose):
        number = 0
        with contextlib.suppress(OSError, EOFError):
            sink.sendall(_exactly(source, _BEFORE[whose]))
            while True:
                head = _exactly(source, _HEAD.size)
                frame = head + _exactly(source, _HEAD.unpack(head)[0])
                self.seen.append((whose, frame))
                if whose == self._of and self._meddling.is_set():
                    for part in self._change(frame, number):
                        sink.sendall(part)
                    number += 1
                else:
                    sink.sendall(frame)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


def _exactly(source, size):
    found = b""
    while len(found) < size:
        data = source.recv(size - len(found))
        if not data:
            raise EOFError
        found += data
    return found


class Crowd:
    """Strangers that throng at a door for as long as the block runs, `size` at a time.

    Those that are silent hold their connection, those that drip say a byte every now and then, and
    those that come anew hang up at once and come again.
    """

    def __init__(self, connect, size=300, *, anew=False):
        self._connect = connect
        self._size = size
        self._anew = anew
        self._over = threading.Event()
        self.came = 0

    def __enter__(self):
        self._threads = [threading.Thread(target=self._throng, daemon=True)]
        for thread in self._threads:
            thread.start()
        deadline = time.monotonic() + 10
        while self.came < self._size:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join(10)

    def _throng(self):
        held = []
        while not self._over.is_set():
            with contextlib.suppress(OSError):
                held.append(self._connect())
                self.came += 1
            if self._anew and len(held) > 20:
                held.pop(0).close()
            elif len(held) >= self._size:
                self._drip(held)
            if self.came >= self._size:
                time.sleep(0.002)
        for connection in held:
            connection.close()

    def _drip(self, held):
        for connection in list(held):
            try:
                connection.send(b"\1", socket.MSG_DONTWAIT)
            except OSError:  # hung up on: another one comes
                connection.close()
                held.remove(connection)
                return


def hung_up(connection, seconds=10):
    """Tell whether the other end hangs up within `seconds`; what it says before is passed over."""
    deadline = time.monotonic() + seconds
    while select.select([connection], [], [], max(0, deadline - time.monotonic()))[0]:
        try:
            if not connection.recv(4096):
                return True
        except ConnectionResetError:
            return True
    return False


def as_nobody(function):
    """Run ``function()`` in a process of another user; return what its exit status says of it."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setuid(65534)
            status = int(function() or 0)
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
