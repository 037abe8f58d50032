"""The loop of a silo elsewhere: it asks the coordinator for work, does it, and brings answers."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Any

from sparkml_dist.errors import ResourceError, TrainingError
from sparkml_dist.federated.answering import answer_request
from sparkml_dist.federated.message import Message
from sparkml_dist.federated.policy import SiloPolicy
from sparkml_dist.federated.remote.certificates import Credentials
from sparkml_dist.federated.remote.coordinator import ANSWER, END, POLL, SERVICE, WAIT
from sparkml_dist.federated.remote.packages import needed
from sparkml_dist.federated.silo import SiloSite
from sparkml_dist.federated.silo_data import SiloData

__all__ = ["run_silo"]

_logger = logging.getLogger(__name__)

_CALL_SECONDS = 60.0
_LONGEST_PAUSE = 5.0
# What the library says of a peer whose certificate does not hold.
_DISTRUST = ("SSL_ERROR_SSL", "Hostname Verification", "CERTIFICATE_VERIFY_FAILED")


def run_silo(
    coordinator: str,
    certificates: str | os.PathLike[str],
    data: SiloData,
    *,
    folder: str | os.PathLike[str],
    policy: SiloPolicy | None = None,
    seed: int | None = None,
    give_up_seconds: float | None = None,
) -> int:
    """Take part in a federation as one silo, until the coordinator says that it is over.

    The process connects to the coordinator and opens no port. It runs wherever the silo's data
    can be read: plain Python, or the driver of a Spark application of the silo's own.

    Parameters
    ----------
    coordinator : str
        ``HOST:PORT``; the coordinator's certificate must be for this host.
    certificates : str or path-like
        Folder of the silo's key, its certificate and the authority's; or of its token and the
        authority's certificate. The silo has the name in its certificate or beside its token.
    data : SiloData
        `ShardData` or `TableData`, for example.
    folder : str or path-like
        The silo's own files: ledger, states and secret. Keep it, so that a silo that is started
        again goes on.
    policy : SiloPolicy, optional
    seed : int, optional
        For experiments that can be repeated; a secret by default.
    give_up_seconds : float, optional
        End with an error after so long without the coordinator; never by default.

    Returns
    -------
    int
        Number of requests that were answered.

    Raises
    ------
    TrainingError
        ``peer_refused``: the other end has no certificate of this authority for that host, or
        refuses the silo's.
    ResourceError
        ``coordinator_lost`` after `give_up_seconds`.
    """
    credentials = Credentials.read(certificates)
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(0o700)
    site = SiloSite(credentials.silo, data, str(place), policy or SiloPolicy(), seed)
    line = _Line(coordinator, credentials, site.policy, give_up_seconds)
    answered = 0
    try:
        while True:
            got = line.call(POLL, Message("poll", 0, site.name).pack())
            message = Message.unpack(got, site.policy.most_request_bytes)
            if message.kind == END:
                return answered
            if message.kind == WAIT:
                continue
            reply = answer_request(site, got, keep_reply=True)
            taken = Message.unpack(line.call(ANSWER, reply))
            answered += 1
            if code := taken.facts.get("refused"):
                _logger.warning("round %d: the answer was refused: %s", message.round, code)
                line.pause()
    finally:
        line.close()


class _Line:
    """The connection to the coordinator, made again whenever it breaks."""

    def __init__(
        self,
        coordinator: str,
        credentials: Credentials,
        policy: SiloPolicy,
        give_up_seconds: float | None,
    ) -> None:
        self._grpc = needed("grpc")
        self._where = coordinator
        self._give_up_seconds = give_up_seconds
        self._pause = 0.1
        self._metadata = credentials.metadata
        secure = self._grpc.ssl_channel_credentials(
            credentials.authority, credentials.key, credentials.certificate
        )
        self._channel = self._grpc.secure_channel(
            coordinator,
            secure,
            options=[
                ("grpc.max_receive_message_length", policy.most_request_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.max_reconnect_backoff_ms", 2000),
                ("grpc.enable_http_proxy", 0),
            ],
        )

    def call(self, method: str, data: bytes) -> bytes:
        """Send a message and return the answer; try again while the coordinator is away."""
        call = self._channel.unary_unary(f"/{SERVICE}/{method}")
        started = time.monotonic()
        while True:
            try:
                found: bytes = call(data, timeout=_CALL_SECONDS, metadata=self._metadata)
                self._pause = 0.1
                return found
            except self._grpc.RpcError as error:
                self._check(error)
                given_up = self._give_up_seconds
                if given_up is not None and time.monotonic() - started > given_up:
                    raise ResourceError(
                        "coordinator_lost",
                        f"The coordinator at {self._where} does not answer: {error.details()}.",
                        "Check the address, the network and that the coordinator runs. One that "
                        "does not trust this silo's certificate closes the connection, too.",
                    ) from error
                self.pause()

    def pause(self) -> None:
        """Wait before the next attempt, each time longer."""
        time.sleep(self._pause)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def close(self) -> None:
        """End the connection."""
        self._channel.close()

    def _check(self, error: Any) -> None:
        """Raise where the other end is not the coordinator, or does not let this silo in."""
        codes = self._grpc.StatusCode
        text = str(error.details() or "")
        wrong = any(sign in text for sign in _DISTRUST)
        if error.code() in (codes.PERMISSION_DENIED, codes.UNAUTHENTICATED) or wrong:
            raise TrainingError(
                "peer_refused",
                f"The silo and {self._where} do not trust each other: {text[:300]}.",
                "Both need certificates of the same authority, the coordinator's for this very "
                "host, or the silo a token that the coordinator knows; otherwise somebody else "
                "answers there. No data were sent.",
            )
        if error.code() == codes.RESOURCE_EXHAUSTED:
            raise TrainingError(
                "message_damaged",
                f"A message is larger than the other side takes: {text[:300]}.",
                "Raise most_bytes of the coordinator, or most_request_bytes of the policy.",
            )
