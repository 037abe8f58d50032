"""Creates memory shared by the ranks of one host."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress

from sparkml_dist.cluster.connection_acceptor import BACKLOG, ConnectionAcceptor, PendingConnection
from sparkml_dist.cluster.same_user import check_same_user
from sparkml_dist.deep.train.shared_mean import BLOCK, SharedMean, memory_size

__all__ = ["join"]

_TOKEN_BYTES = 16
_HELLO = struct.Struct(f"!{_TOKEN_BYTES}sH")  # token, rank
# Ranks connect at about the same time; a connection that does not identify itself is not a rank.
_JOIN_SECONDS = 30.0
_HELLO_SECONDS = 5.0
_PAUSE_SECONDS = 0.02


def join(
    rank: int,
    size: int,
    from_first: Callable[[bytes], bytes],
    *,
    block: int = BLOCK,
    timeout: float | None = None,
) -> SharedMean:
    """Return the shared mean of ranks 0 to `size` - 1, which must all be on this host.

    Rank 0 creates the memory and a pair of connected sockets for every two ranks, and sends them to
    the others over a Unix socket. Every process on the host can connect to it; only processes of
    the same user that know the ranks' token are accepted.

    Parameters
    ----------
    rank, size : int
        This rank, and the number of ranks.
    from_first : callable
        ``from_first(data)`` returns rank 0's `data` on every rank; called once, with the same
        number of bytes on all ranks.
    block : int
        Number of values that are processed at a time.
    timeout : float, optional
        Seconds that a rank waits for the others in a reduction; no limit by default.

    Returns
    -------
    SharedMean

    Raises
    ------
    OSError
        The ranks cannot connect, or there is not enough memory.
    """
    token = secrets.token_bytes(_TOKEN_BYTES)
    if rank == 0:
        with _listener(token) as listener:
            from_first(token)
            memory, peers = _hand_out(listener, token, size, block)
    else:
        memory, peers = _fetch(rank, size, from_first(token))
    return SharedMean(rank, size, memory, peers, block=block, timeout=timeout)


def _listener(token: bytes) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The other ranks wait for the token: on an error they must still get it.
    with suppress(OSError):
        listener.bind(_name(token))
        listener.listen(BACKLOG)
    return listener


def _name(token: bytes) -> str:
    # An abstract name: it is in no folder and ends with the socket. It does not reveal the token.
    return "\0sparkml_dist-" + hashlib.sha256(token).hexdigest()[: 2 * _TOKEN_BYTES]


def _hand_out(
    listener: socket.socket, token: bytes, size: int, block: int
) -> tuple[int, list[socket.socket]]:
    pairs: dict[tuple[int, int], socket.socket] = {}
    callers: dict[int, socket.socket] = {}
    memory = os.memfd_create("sparkml_dist", os.MFD_CLOEXEC)
    try:
        os.ftruncate(memory, memory_size(size, block))
        # Allocating now turns a lack of memory into an error here instead of a signal later.
        os.posix_fallocate(memory, 0, memory_size(size, block))
        _await_callers(listener, token, size, callers)
        for one in range(size):
            for other in range(one + 1, size):
                pairs[one, other], pairs[other, one] = socket.socketpair()
        for one, caller in sorted(callers.items()):
            ends = [pairs[one, other].fileno() for other in range(size) if other != one]
            socket.send_fds(caller, [b"\0"], [memory, *ends])
        mine = [pairs.pop((0, other)) for other in range(1, size)]
    except BaseException:
        os.close(memory)
        raise
    finally:
        # Copies kept open here would hide the end of the rank that owns the socket.
        for end in (*pairs.values(), *callers.values()):
            end.close()
    return memory, mine


def _await_callers(
    listener: socket.socket, token: bytes, size: int, callers: dict[int, socket.socket]
) -> None:
    """Fill `callers` with a connection from each other rank."""

    def recognise(pending: PendingConnection) -> None:
        known, rank = _HELLO.unpack(pending.received)
        if not (hmac.compare_digest(known, token) and 0 < rank < size and rank not in callers):
            raise PermissionError("not a rank of this gang")
        pending.connection.settimeout(_JOIN_SECONDS)
        callers[rank] = pending.connection

    acceptor = ConnectionAcceptor(
        listener,
        recognise,
        on_accept=lambda pending: check_same_user(pending.connection),
        seconds=_HELLO_SECONDS,
        limit=_HELLO.size,
    )
    deadline = time.monotonic() + _JOIN_SECONDS
    try:
        while len(callers) < size - 1:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{size - 1 - len(callers)} ranks have not connected")
            acceptor.step(left)
    finally:
        acceptor.close()


def _fetch(rank: int, size: int, token: bytes) -> tuple[int, list[socket.socket]]:
    deadline = time.monotonic() + _JOIN_SECONDS
    while True:
        try:
            descriptors = _ask(rank, size, token)
            break
        except (BlockingIOError, ConnectionResetError, BrokenPipeError):
            # Rank 0's socket is flooded with connections: try again.
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_SECONDS)
    return descriptors[0], [socket.socket(fileno=d) for d in descriptors[1:]]


def _ask(rank: int, size: int, token: bytes) -> list[int]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_JOIN_SECONDS)
        connection.connect(_name(token))
        check_same_user(connection)
        connection.sendall(_HELLO.pack(token, rank))
        data, descriptors, _, _ = socket.recv_fds(connection, 1, size)
    if not data:
        raise ConnectionResetError("Rank 0 closed the connection.")
    if len(descriptors) != size:
        for descriptor in descriptors:
            os.close(descriptor)
        raise ConnectionError("Rank 0 sent no memory.")
    return descriptors
