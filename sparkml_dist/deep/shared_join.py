"""Brings ranks of one host together around a piece of shared memory."""

from __future__ import annotations

import os
import secrets
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

from sparkml_dist.deep.shared_mean import BLOCK, SharedMean, memory_size

__all__ = ["join"]

_TOKEN_BYTES = 16
_JOIN_SECONDS = 20.0


def join(
    rank: int,
    size: int,
    from_first: Callable[[bytes], bytes],
    *,
    block: int = BLOCK,
    timeout: float | None = None,
) -> SharedMean:
    """Return the shared mean of ranks 0 to `size` - 1, which must all be on this host.

    Rank 0 makes the memory and a pair of connected sockets for every two ranks, and hands them to
    the others through a Unix socket whose random name only they know.

    Parameters
    ----------
    rank, size : int
        This rank, and how many there are.
    from_first : callable
        ``from_first(data)`` returns on every rank the bytes that rank 0 called it with; called
        once, with the same number of bytes on all.
    block : int
        Values that go through the memory at a time.
    timeout : float, optional
        Seconds that a rank waits for the others in a reduction; by default for ever.

    Returns
    -------
    SharedMean

    Raises
    ------
    OSError
        The ranks do not see each other, or there is no memory.
    """
    token = secrets.token_bytes(_TOKEN_BYTES)
    if rank == 0:
        with _listener(token, size) as listener:
            from_first(token)
            memory, peers = _hand_out(listener, size, block)
    else:
        memory, peers = _take(rank, size, from_first(token))
    return SharedMean(rank, size, memory, peers, block=block, timeout=timeout)


def _listener(token: bytes, size: int) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.settimeout(_JOIN_SECONDS)
    # The other ranks wait for the token: without it none of them would go on.
    with suppress(OSError):
        listener.bind(_name(token))
        listener.listen(size)
    return listener


def _name(token: bytes) -> str:
    # An abstract name: in no folder, and gone with the socket.
    return "\0sparkml_dist-" + token.hex()


def _hand_out(listener: socket.socket, size: int, block: int) -> tuple[int, list[socket.socket]]:
    callers: dict[int, socket.socket] = {}
    pairs: dict[tuple[int, int], socket.socket] = {}
    memory = os.memfd_create("sparkml_dist", os.MFD_CLOEXEC)
    try:
        os.ftruncate(memory, memory_size(size, block))
        # Taking the pages now turns a lack of memory into an error here, not a signal later.
        os.posix_fallocate(memory, 0, memory_size(size, block))
        while len(callers) < size - 1:
            caller, _ = listener.accept()
            caller.settimeout(_JOIN_SECONDS)
            _, user, _ = struct.unpack(
                "3i", caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            )
            number = caller.recv(2)
            if user != os.getuid() or len(number) != 2:
                caller.close()
                continue
            callers[struct.unpack("!H", number)[0]] = caller
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
        # Copies kept here would hide the end of the rank that they belong to.
        for end in (*pairs.values(), *callers.values()):
            end.close()
    return memory, mine


def _take(rank: int, size: int, token: bytes) -> tuple[int, list[socket.socket]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(_JOIN_SECONDS)
        line.connect(_name(token))
        line.sendall(struct.pack("!H", rank))
        _, descriptors, _, _ = socket.recv_fds(line, 1, size)
    if len(descriptors) != size:
        for descriptor in descriptors:
            os.close(descriptor)
        raise ConnectionError("Rank 0 handed out no memory.")
    return descriptors[0], [socket.socket(fileno=d) for d in descriptors[1:]]
