"""Whose process is at the other end of a Unix socket."""

from __future__ import annotations

import os
import socket
import struct

__all__ = ["check_same_user"]

_PEER = struct.Struct("3i")  # pid, uid, gid


def check_same_user(connection: socket.socket) -> None:
    """Raise unless the other end belongs to the user of this process; nothing is read from it.

    Parameters
    ----------
    connection : socket.socket
        A connected Unix socket; of the two ends either may ask.

    Raises
    ------
    PermissionError
        It is another user's.
    """
    peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    user = _PEER.unpack(peer)[1]
    if user != os.geteuid():
        raise PermissionError(f"the process at the other end belongs to user {user}")
