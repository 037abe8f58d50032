"""Sums over silos: a protocol, and the plain one, in which the coordinator sees each answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.federated.message import Message

if TYPE_CHECKING:
    from sparkml_dist.federated.replies import Replies, SiloFailure
    from sparkml_dist.federated.schema import FederatedSchema

__all__ = ["Asks", "PlainSum", "SumProtocol", "Summed", "add_up"]


@dataclass(frozen=True, eq=False)
class Summed:
    """The sum of one round.

    Attributes
    ----------
    arrays : dict of str to ndarray
        Sums, as float64 where the parts are numbers.
    facts : dict of str to dict
        Facts of each silo.
    silos : list of str
        Who is in the sum.
    failed : dict of str to SiloFailure
        Who is not, and why.
    """

    arrays: dict[str, npt.NDArray[Any]]
    facts: dict[str, dict[str, Any]]
    silos: list[str]
    failed: dict[str, SiloFailure]


class Asks(ABC):
    """What a protocol needs of a federation: to ask, in as many rounds as it takes."""

    names: list[str]
    run: str

    @property
    @abstractmethod
    def schema(self) -> FederatedSchema:
        """The agreed schema."""

    @abstractmethod
    def ask(
        self,
        kind: str,
        facts: Mapping[str, Any] | None = None,
        arrays: Mapping[str, npt.NDArray[Any]] | None = None,
        *,
        silos: Sequence[str] | None = None,
        own: Mapping[str, tuple[Mapping[str, Any], Mapping[str, npt.NDArray[Any]]]] | None = None,
        minimum: int = 1,
    ) -> Replies:
        """Ask silos for one round of work; see `Federation.ask`."""


class SumProtocol(ABC):
    """How arrays are added up over silos. Others than the plain sum hide the parts."""

    @abstractmethod
    def sum(
        self,
        federation: Asks,
        kind: str,
        facts: Mapping[str, Any],
        arrays: Mapping[str, npt.NDArray[Any]],
        *,
        silos: Sequence[str],
        own: Mapping[str, tuple[Mapping[str, Any], Mapping[str, npt.NDArray[Any]]]],
        minimum: int,
        ranges: Mapping[str, float] | None,
    ) -> Summed:
        """Return the sum of the answers to one request.

        Parameters
        ----------
        federation : Asks
        kind : str
            A work whose arrays may be summed.
        facts, arrays, silos, own, minimum
            As for `Federation.ask`.
        ranges : mapping of str to float, optional
            Largest absolute value of each array's entries in one silo, for fixed-point numbers.
        """


class PlainSum(SumProtocol):
    """The coordinator reads each answer and adds it up, in the order of names."""

    def sum(  # noqa: D102
        self,
        federation: Asks,
        kind: str,
        facts: Mapping[str, Any],
        arrays: Mapping[str, npt.NDArray[Any]],
        *,
        silos: Sequence[str],
        own: Mapping[str, tuple[Mapping[str, Any], Mapping[str, npt.NDArray[Any]]]],
        minimum: int,
        ranges: Mapping[str, float] | None,
    ) -> Summed:
        replies = federation.ask(kind, facts, arrays, silos=silos, own=own, minimum=minimum)
        return add_up(replies)


def add_up(replies: Replies) -> Summed:
    """Return the sum of replies as float64, in the order of names, and keep it with the round.

    A round that was added up before is read, since its answers are dropped then.
    """
    stored = replies.stored_sum()
    if stored is not None:
        facts = dict(stored.facts["facts"])
        return Summed(dict(stored.arrays), facts, list(replies.names), dict(replies.failed))
    totals: dict[str, npt.NDArray[Any]] = {}
    facts = {}
    for name, answer in replies:
        facts[name] = dict(answer.facts)
        for key, value in answer.arrays.items():
            if key in totals:
                totals[key] += value
            else:
                totals[key] = np.array(value, np.float64)
    replies.store_sum(Message("sum", replies.round, "coordinator", {"facts": facts}, totals))
    return Summed(totals, facts, list(replies.names), dict(replies.failed))
