"""How a round reaches silos: the interface of backends, and silos in this process."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sparkml_dist.federated.answering import FAILURE, answer_request, silo_ledger
from sparkml_dist.federated.ledger import LedgerEntry
from sparkml_dist.federated.message import MOST_BYTES, Message
from sparkml_dist.federated.replies import Outcome, check_reply
from sparkml_dist.federated.rounds import Rounds
from sparkml_dist.federated.schema import FederatedSchema
from sparkml_dist.federated.silo import SiloSite
from sparkml_dist.federated.work import Answer

__all__ = ["Alter", "Backend", "LocalSilos"]

_logger = logging.getLogger(__name__)

#: What a silo in an experiment sends in place of its answer; may raise, as a silo that dies does.
Alter = Callable[[Answer, Message], Answer]


class Backend(ABC):
    """Where the silos of a federation are.

    Attributes
    ----------
    names : list of str
        Sorted.
    """

    names: list[str]

    @abstractmethod
    def exchange(
        self,
        rounds: Rounds,
        round: int,  # noqa: A002
        silos: Sequence[str],
        schema: FederatedSchema | None,
        minimum: int,
    ) -> dict[str, Outcome]:
        """Give each silo its request of a round, and keep the replies that are sound.

        Parameters
        ----------
        rounds : Rounds
            Has the request (``rounds.request(round, silo)``), and takes the replies.
        round : int
        silos : sequence of str
        schema : FederatedSchema or None
            The agreed one.
        minimum : int
            Fewest replies that the caller needs.
        """

    def ledger(self, name: str, run: str) -> list[LedgerEntry]:
        """Return the ledger that a silo holds itself, where this process can read it."""
        return []

    def refusals(self) -> list[LedgerEntry]:
        """Return messages that were refused and belong to no round's record."""
        return []

    def close(self) -> None:
        """End what the backend runs."""
        return


class LocalSilos(Backend):
    """Silos in this process, asked one after the other.

    Parameters
    ----------
    sites : mapping of str to SiloSite
    alter : mapping of str to callable, optional
        ``alter[silo](answer, request)`` returns what that silo sends in place of its answer, or
        raises; for experiments with faults and poisoned silos.
    """

    def __init__(
        self, sites: Mapping[str, SiloSite], alter: Mapping[str, Alter] | None = None
    ) -> None:
        self.names = sorted(sites)
        self.sites = dict(sites)
        self._alter = dict(alter or {})

    def exchange(  # noqa: D102
        self,
        rounds: Rounds,
        round: int,  # noqa: A002
        silos: Sequence[str],
        schema: FederatedSchema | None,
        minimum: int,
    ) -> dict[str, Outcome]:
        outcomes: dict[str, Outcome] = {}
        for name in silos:
            request, packed = rounds.request(round, name)
            reply = self._altered(name, request, answer_request(self.sites[name], packed))
            outcome = check_reply(reply, request, name, schema, limit=MOST_BYTES, packed=packed)
            if outcome.failure is None:
                rounds.write_reply(round, name, reply)
            outcomes[name] = outcome
        return outcomes

    def ledger(self, name: str, run: str) -> list[LedgerEntry]:
        """Return the ledger that a silo holds itself."""
        return silo_ledger(self.sites[name], run)

    def _altered(self, name: str, request: Message, reply: bytes) -> bytes:
        if name not in self._alter:
            return reply
        message = Message.unpack(reply)
        if message.kind == FAILURE:
            return reply
        facts: dict[str, Any] = dict(message.facts)
        answer = Answer(facts, message.arrays, facts.pop("epsilon", None))
        try:
            changed = self._alter[name](answer, request)
        except Exception as error:  # noqa: BLE001 - a silo may die of anything
            said = {"code": "silo_failed", "message": f"{type(error).__name__}: {error}"[:2000]}
            return replace(message, kind=FAILURE, facts=said, arrays={}).pack()
        return replace(message, facts=dict(changed.facts), arrays=dict(changed.arrays)).pack()
