"""Connections from rank 0 of a gang to all others, over which sums travel."""

from __future__ import annotations

import secrets
import socket
import time
from dataclasses import dataclass

from sparkml_dist.cluster.connection_acceptor import BACKLOG, ConnectionAcceptor, PendingConnection
from sparkml_dist.cluster.control_wire import (
    HANDSHAKE_SECONDS,
    HELLO,
    NONCE_BYTES,
    ChannelKeys,
    close_connection,
    hello,
)
from sparkml_dist.cluster.rank_context import RankContext
from sparkml_dist.cluster.rendezvous_client import rendezvous_host, shared_value
from sparkml_dist.cluster.sums.frames import Frames
from sparkml_dist.errors import TrainingError

__all__ = ["RankStar", "joined_ranks"]

_SCOPE = "sparkml_dist-sums"
_SECONDS = 120.0  # for the other ranks to come


@dataclass(frozen=True)
class RankStar:
    """The connections of a rank: rank 0 has one to each other rank, they have one to rank 0.

    Attributes
    ----------
    ends : tuple of Frames
        In the order of the ranks.
    """

    ends: tuple[Frames, ...]

    def close(self) -> None:
        """Close all connections."""
        for end in self.ends:
            end.close()


def joined_ranks(context: RankContext, token: str, *, seconds: float = _SECONDS) -> RankStar:
    """Connect this rank with rank 0, or rank 0 with all others.

    Both ends prove that they know the token.

    Parameters
    ----------
    context : RankContext
    token : str
        Secret of the gang; it must come with the rank's payload, not over this network.
    seconds : float, default=120
        How long to wait for other ranks.

    Raises
    ------
    TrainingError
        ``rank_lost`` where a rank does not come in time.
    """
    if context.size == 1:
        return RankStar(())
    if context.rank == 0:
        return RankStar(_accepted(context.size, token, seconds))
    host, port = shared_value(_SCOPE, seconds=seconds)
    return RankStar((_connected(str(host), int(port), token, context.rank, seconds),))


def _accepted(size: int, token: str, seconds: float) -> tuple[Frames, ...]:
    host = rendezvous_host()
    listener = socket.create_server((host, 0), backlog=BACKLOG)
    found: dict[int, Frames] = {}

    def challenge(pending: PendingConnection) -> None:
        pending.challenge = secrets.token_bytes(NONCE_BYTES)
        pending.connection.sendall(pending.challenge)

    def enter(pending: PendingConnection) -> None:
        nonce, rank, proof = HELLO.unpack(bytes(pending.received))
        keys = ChannelKeys.of(token, pending.challenge, nonce, rank)
        known = secrets.compare_digest(proof, keys.proof)
        if not known or not 0 < rank < size or rank in found:
            raise ValueError("not a rank of this gang")
        end = Frames(pending.connection, keys.of_server, keys.of_rank)
        end.send([])  # proves that this end knows the token
        found[rank] = end

    acceptor = ConnectionAcceptor(
        listener, enter, on_accept=challenge, seconds=HANDSHAKE_SECONDS, limit=HELLO.size
    )
    try:
        shared_value(_SCOPE, [host, listener.getsockname()[1]], seconds=seconds)
        deadline = time.monotonic() + seconds
        while len(found) < size - 1:
            if (left := deadline - time.monotonic()) <= 0:
                missing = next(r for r in range(1, size) if r not in found)
                raise TrainingError(
                    "rank_lost",
                    f"Rank {missing} has not connected to rank 0 within {seconds:g} s.",
                    "Executors must reach each other on any port.",
                )
            acceptor.step(left)
    finally:
        acceptor.close()
    return tuple(found[rank] for rank in sorted(found))


def _connected(host: str, port: int, token: str, rank: int, seconds: float) -> Frames:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return _introduced(host, port, token, rank)
        except OSError as error:  # a flooded rank 0 drops waiting connections: again
            if time.monotonic() > deadline:
                raise TrainingError(
                    "rank_lost",
                    f"Rank 0 at {host}:{port} does not accept rank {rank}: {error}",
                    "Executors must reach each other on any port.",
                ) from error
            time.sleep(0.1)


def _introduced(host: str, port: int, token: str, rank: int) -> Frames:
    connection = socket.create_connection((host, port), timeout=HANDSHAKE_SECONDS)
    try:
        nonce = b""
        while missing := NONCE_BYTES - len(nonce):
            data = connection.recv(missing)
            if not data:
                raise ConnectionError("rank 0 closed the connection")
            nonce += data
        answer, keys = hello(token, nonce, rank)
        connection.sendall(answer)
        end = Frames(connection, keys.of_rank, keys.of_server)
        end.receive(0)
        return end
    except BaseException:
        close_connection(connection)
        raise
