"""One rank's end of the line over which the tasks of a gang tell each other of failures."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import BinaryIO

from sparkml_dist.cluster.control_wire import Record, answer, connect, hang_up, read, send

__all__ = ["SERVER_GONE", "ControlClient"]

#: What a rank takes for the first failure where the server, in rank 0's task, has ended.
SERVER_GONE: Record = {"rank": 0, "kind": "lost", "echo": False}


class ControlClient:
    """One rank's end of the line.

    Parameters
    ----------
    address, port, token
        Where the `ControlServer` listens, and its secret.
    rank : int
        Whose end this is.
    on_stop : callable
        Called once, from a thread, with the record of the first failure; also when the server
        itself goes away before this rank is done.
    seconds : float, default=30
        How long connecting may take.

    Raises
    ------
    ConnectionError
        The server has ended already.
    """

    def __init__(
        self,
        address: str,
        port: int,
        token: str,
        rank: int,
        on_stop: Callable[[Record], None],
        *,
        seconds: float = 30.0,
    ) -> None:
        self._on_stop = on_stop
        self._finished = False
        self._socket = connect(address, port, seconds)
        self._stream: BinaryIO = self._socket.makefile("rb")
        challenge = read(self._stream)
        if challenge is None:
            raise ConnectionError("the gang's control server hung up")
        send(self._socket, {"rank": rank, "answer": answer(token, challenge["nonce"], rank)})
        self._socket.settimeout(None)
        self._thread = threading.Thread(
            target=self._listen, name=f"sparkml_dist-control-{rank}", daemon=True
        )
        self._thread.start()

    def failed(self, record: Record) -> None:
        """Report that this rank has failed."""
        send(self._socket, {"type": "failed", "record": record})

    def advanced(self, count: int, doing: str) -> None:
        """Report how often this rank has advanced, and what it was about to do."""
        send(self._socket, {"type": "advanced", "count": count, "doing": doing})

    def done(self) -> None:
        """Report that this rank has ended well; what happens after that is not its concern."""
        self._finished = True
        send(self._socket, {"type": "done"})

    def close(self) -> None:
        """Hang up."""
        self._finished = True
        hang_up(self._socket)

    def _listen(self) -> None:
        message = read(self._stream)
        if self._finished:
            return
        if message is None:
            self._on_stop(SERVER_GONE)
        else:
            self._on_stop(message["record"])
