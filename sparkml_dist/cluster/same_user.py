"""Checks that the process at the other end of a Unix socket belongs to the same user."""

from __future__ import annotations

import os
import socket
import struct

__all__ = ["check_same_user"]

_PEER = struct.Struct("3i")  # pid, uid, gid


def check_same_user(connection: socket.socket) -> None:
    """Raise unless the other end belongs to the user of this process; reads no data.

    Parameters
    ----------
    connection : socket.socket
        A connected Unix socket, at either end.

    Raises
    ------
    PermissionError
        The other end belongs to another user.
    """
    peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    user = _PEER.unpack(peer)[1]
    if user != os.geteuid():
        raise PermissionError(f"the process at the other end belongs to user {user}")
