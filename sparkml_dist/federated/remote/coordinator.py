"""The coordinator's server: silos ask it for work and bring their answers; it calls nobody."""

from __future__ import annotations

import collections
import hashlib
import logging
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sparkml_dist.errors import ConfigurationError, ResourceError, SparkMLDistError
from sparkml_dist.federated.backend import Backend
from sparkml_dist.federated.ledger import LedgerEntry, entry_of
from sparkml_dist.federated.message import Message
from sparkml_dist.federated.remote.certificates import Credentials, Tokens, silo_of
from sparkml_dist.federated.remote.packages import needed
from sparkml_dist.federated.replies import Outcome, SiloFailure, check_reply
from sparkml_dist.federated.rounds import Rounds
from sparkml_dist.federated.schema import FederatedSchema
from sparkml_dist.federated.silo import check_name

__all__ = ["ANSWER", "END", "POLL", "SERVICE", "WAIT", "Coordinator"]

_logger = logging.getLogger(__name__)

SERVICE = "sparkml_dist.Federation"
POLL, ANSWER = "Poll", "Answer"
#: Kinds of messages of the server itself: nothing to do yet; the run is over; the answer came in.
WAIT, END, TAKEN = "wait", "end", "taken"
_HOLD_SECONDS = 5.0
_MOST_HELD = 64
_MOST_REFUSALS = 1000


class Coordinator(Backend):
    """A server over TLS at which silos elsewhere meet.

    Silos connect to it, ask for work and bring answers; it needs no way to reach them. Both sides
    have certificates of one authority (`make_certificates`), and a silo is known by its
    certificate, whatever a message says; or by its token.

    Parameters
    ----------
    silos : sequence of str
        Names of the silos that may take part.
    certificates : str or path-like
        Folder of the coordinator's key, its certificate and the authority's.
    address : str, default="0.0.0.0:8443"
        Where to listen; port 0 takes a free one.
    round_seconds : float, default=600
        How long a round waits for silos. Those that come later are not in it, and are asked again
        in the next.
    grace_seconds : float, optional
        How long a round that has the fewest answers that are needed waits for the others;
        ``round_seconds`` by default.
    most_bytes : int, default=256 MiB
        Most bytes of an answer.
    tokens : bool, default=False
        Whether silos have tokens (``make_certificates(…, tokens=True)``) in place of certificates.
        They know the coordinator by its certificate all the same.
    close_seconds : float, default=10
        How long `close` waits for silos that are still to be told that the run is over.

    Attributes
    ----------
    port : int

    Raises
    ------
    ConfigurationError
        ``federated_missing``, ``invalid_param``.
    ResourceError
        ``port_taken``.
    StorageError
        ``file_not_found``.
    """

    def __init__(
        self,
        silos: Sequence[str],
        certificates: str | os.PathLike[str],
        *,
        address: str = "0.0.0.0:8443",
        round_seconds: float = 600.0,
        grace_seconds: float | None = None,
        most_bytes: int = 256 << 20,
        close_seconds: float = 2 * _HOLD_SECONDS,
        tokens: bool = False,
    ) -> None:
        self.names = sorted({check_name(name) for name in silos})
        for name, value in (("round_seconds", round_seconds), ("most_bytes", most_bytes)):
            if not value > 0:
                raise ConfigurationError(
                    "invalid_param", f"{name} must be positive. Got {value!r}."
                )
        self._round_seconds = round_seconds
        self._grace_seconds = round_seconds if grace_seconds is None else grace_seconds
        self._most_bytes = most_bytes
        self.close_seconds = close_seconds
        self._changed = threading.Condition()
        self._open: _OpenRound | None = None
        self._ended = False
        self._told: set[str] = set()
        self._seen: set[str] = set()
        self._held = 0
        self._refusals: collections.deque[LedgerEntry] = collections.deque(maxlen=_MOST_REFUSALS)
        self._tokens = Tokens.read(certificates) if tokens else None
        self._server, self.port = self._start(Credentials.read(certificates), address)

    # -- Rounds -----------------------------------------------------------------------------

    def exchange(  # noqa: D102
        self,
        rounds: Rounds,
        round: int,  # noqa: A002
        silos: Sequence[str],
        schema: FederatedSchema | None,
        minimum: int,
    ) -> dict[str, Outcome]:
        current = _OpenRound(rounds, round, silos, schema, self._most_bytes)
        current.take_committed()
        started = time.monotonic()
        enough: float | None = None
        with self._changed:
            self._open = current
            self._changed.notify_all()
            try:
                while len(current.outcomes) < len(silos):
                    now = time.monotonic()
                    if enough is None and current.answered >= minimum:
                        enough = now
                    until = started + self._round_seconds
                    if enough is not None:
                        until = min(until, enough + self._grace_seconds)
                    if now >= until:
                        break
                    self._changed.wait(until - now)
            finally:
                self._open = None
        return current.closed()

    def refusals(self) -> list[LedgerEntry]:
        """Return the newest messages that belonged to no open round, or came twice."""
        return list(self._refusals)

    def close(self) -> None:
        """Tell the silos that ask in the next seconds that the run is over; stop the server."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
            until = time.monotonic() + self.close_seconds
            while not self._seen <= self._told and time.monotonic() < until:
                self._changed.wait(0.1)
        self._server.stop(grace=1.0).wait()

    # -- The server -------------------------------------------------------------------------

    def _start(self, credentials: Credentials, address: str) -> tuple[Any, int]:
        grpc = needed("grpc")
        handlers = grpc.method_handlers_generic_handler(
            SERVICE,
            {
                POLL: grpc.unary_unary_rpc_method_handler(self._poll),
                ANSWER: grpc.unary_unary_rpc_method_handler(self._answer),
            },
        )
        server = grpc.server(
            ThreadPoolExecutor(_MOST_HELD + 16, "coordinator"),
            handlers=(handlers,),
            options=[
                ("grpc.max_receive_message_length", self._most_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            ],
        )
        secure = grpc.ssl_server_credentials(
            [(credentials.key, credentials.certificate)],
            root_certificates=None if self._tokens else credentials.authority,
            require_client_auth=self._tokens is None,
        )
        try:
            port = server.add_secure_port(address, secure)
        except RuntimeError as error:
            raise ResourceError(
                "port_taken",
                f"The coordinator cannot listen at {address!r}: {error}.",
                "Choose another port, or end the program that has it.",
            ) from error
        server.start()
        return server, port

    def _poll(self, data: bytes, context: Any) -> bytes:
        """Give a silo the request of the open round; wait for a moment where there is none."""
        name = self._caller(context)
        until = time.monotonic() + _HOLD_SECONDS
        with self._changed:
            self._seen.add(name)
            # Each call that waits holds a thread: beyond some, silos come again instead.
            self._held += 1
            try:
                while not self._ended and not self._waits(name):
                    left = until - time.monotonic()
                    if left <= 0 or self._held > _MOST_HELD:
                        break
                    self._changed.wait(left)
            finally:
                self._held -= 1
            if self._ended:
                self._told.add(name)
                self._changed.notify_all()
                return Message(END, 0, "coordinator").pack()
            current = self._open
            if current is None or not current.waits_for(name):
                return Message(WAIT, 0, "coordinator").pack()
        return current.request(name)[1]

    def _waits(self, name: str) -> bool:
        return self._open is not None and self._open.waits_for(name)

    def _answer(self, data: bytes, context: Any) -> bytes:
        """Take a silo's answer, and tell it what became of it."""
        name = self._caller(context)
        with self._changed:
            current = self._open
        code = "silo_late" if current is None else current.take(name, data)
        if code:
            _logger.warning("a message of the silo %s is refused: %s", name, code)
            self._refusals.append(_refusal(name, data, code, self._most_bytes))
        with self._changed:
            self._changed.notify_all()
        return Message(TAKEN, 0, "coordinator", {"refused": code}).pack()

    def _caller(self, context: Any) -> str:
        """Return the silo whose certificate or token the caller has; end the call of any other."""
        grpc = needed("grpc")
        if self._tokens is not None:
            brought = dict(context.invocation_metadata()).get("authorization", "")
            name = self._tokens.silo_of(str(brought))
            if name is None or name not in self.names:
                _logger.warning("a caller is refused: its token is that of no silo here")
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token is that of no silo here")
            assert name is not None
            return name
        names = context.auth_context().get("x509_subject_alternative_name", [])
        name = silo_of([value.decode(errors="replace") for value in names])
        if name is None or name not in self.names:
            _logger.warning("a caller is refused: its certificate is for %r", name)
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "the certificate is for no silo here")
        assert name is not None
        return name


class _OpenRound:
    """The round that silos answer now. Replies are committed as they come."""

    def __init__(
        self,
        rounds: Rounds,
        number: int,
        silos: Sequence[str],
        schema: FederatedSchema | None,
        limit: int,
    ) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self._rounds, self._number, self._silos = rounds, number, list(silos)
        self._schema, self._limit = schema, limit
        self._lock = threading.Lock()
        self._checksums: dict[str, str] = {}
        self._is_closed = False

    @property
    def answered(self) -> int:
        """Number of sound answers."""
        return sum(outcome.failure is None for outcome in self.outcomes.values())

    def waits_for(self, name: str) -> bool:
        """Tell whether a silo is in the round and has not answered."""
        return name in self._silos and name not in self.outcomes

    def request(self, name: str) -> tuple[Message, bytes]:
        """Return what a silo is asked, also as it is sent."""
        with self._lock:
            return self._rounds.request(self._number, name)

    def take_committed(self) -> None:
        """Take replies that came before the coordinator was started again."""
        for name in self._silos:
            if self._rounds.has_reply(self._number, name):
                self.take(name, self._rounds.reply(self._number, name))

    def take(self, name: str, data: bytes) -> str:
        """Check an answer and keep it; return the code of what is wrong, empty where nothing is."""
        request, packed = self.request(name)
        if name not in self._silos:
            return "silo_late"
        checksum = hashlib.sha256(data).hexdigest()
        outcome = check_reply(data, request, name, self._schema, limit=self._limit, packed=packed)
        failure = outcome.failure
        # What is not of this round at all is no answer in it: a message of an earlier round, or
        # one that was made up, must not cost the silo its place.
        if failure is not None and failure.code == "message_damaged":
            try:
                found = Message.unpack(data, self._limit)
                if (found.round, found.run) != (request.round, request.run):
                    return "round_repeated" if found.round < request.round else "silo_late"
            except SparkMLDistError:
                pass
        with self._lock:
            if self._is_closed:
                return "silo_late"
            if name in self.outcomes:
                return "" if self._checksums.get(name) == checksum else "round_repeated"
            if failure is None:
                self._rounds.write_reply(self._number, name, data)
            self._checksums[name] = checksum
            self.outcomes[name] = outcome
        return "" if failure is None else failure.code

    def closed(self) -> dict[str, Outcome]:
        """Return what came of each silo; later answers are refused."""
        with self._lock:
            self._is_closed = True
        for name in self._silos:
            if name not in self.outcomes:
                request, packed = self.request(name)
                entry = entry_of(request, packed, name, "request", refused="silo_late")
                failure = SiloFailure("silo_late", f"The silo {name!r} did not answer in time.")
                self.outcomes[name] = Outcome(entry, None, failure)
        return {name: self.outcomes[name] for name in self._silos}


def _refusal(name: str, data: bytes, code: str, limit: int) -> LedgerEntry:
    try:
        return entry_of(Message.unpack(data, limit), data, name, "answer", refused=code)
    except SparkMLDistError:
        return LedgerEntry(0, "", name, "answer", len(data), refused=code, time=time.time())
