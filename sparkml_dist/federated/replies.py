"""The replies of one round: checked as they come, and read one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sparkml_dist.errors import SparkMLDistError, TrainingError
from sparkml_dist.federated.answering import FAILURE
from sparkml_dist.federated.ledger import LedgerEntry, entry_of
from sparkml_dist.federated.message import Message, damaged
from sparkml_dist.federated.policy import check_answer
from sparkml_dist.federated.rounds import Rounds
from sparkml_dist.federated.schema import FederatedSchema
from sparkml_dist.federated.work import Answer
from sparkml_dist.federated.works import work_of

__all__ = ["Outcome", "Replies", "SiloFailure", "check_reply"]


@dataclass(frozen=True)
class SiloFailure:
    """Why a silo is not in a round.

    Attributes
    ----------
    code : str
        Such as ``"silo_late"``, ``"silo_failed"``, ``"answer_refused"``, ``"request_refused"``.
    message : str
    """

    code: str
    message: str


@dataclass(frozen=True)
class Outcome:
    """What came of one silo in one round: ledger entries and, where it failed, why."""

    request: LedgerEntry
    answer: LedgerEntry | None = None
    failure: SiloFailure | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as JSON values."""
        return {
            "request": self.request.to_dict(),
            "answer": self.answer and self.answer.to_dict(),
            "failure": self.failure and [self.failure.code, self.failure.message],
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Outcome:
        """Return the outcome of `to_dict`."""
        answer, failure = value["answer"], value["failure"]
        return cls(
            LedgerEntry.from_dict(value["request"]),
            LedgerEntry.from_dict(answer) if answer else None,
            SiloFailure(*failure) if failure else None,
        )


def check_reply(
    data: bytes,
    request: Message,
    silo: str,
    schema: FederatedSchema | None,
    *,
    limit: int,
    packed: bytes,
) -> Outcome:
    """Check a reply as the coordinator does, and return what came of the silo.

    Parameters
    ----------
    data : bytes
        As it came.
    request : Message
        What the silo was asked.
    silo : str
        Who must have sent it.
    schema : FederatedSchema or None
        The agreed one.
    limit : int
        Most bytes of a reply.
    packed : bytes
        The request as it was sent.
    """
    asked = entry_of(request, packed, silo, "request")
    try:
        message = Message.unpack(data, limit)
        if (message.sender, message.round, message.run) != (silo, request.round, request.run):
            raise damaged(
                f"{silo!r} answers for {message.sender[:60]!r} in round {message.round}, in place "
                f"of round {request.round}"
            )
    except TrainingError as error:
        empty = LedgerEntry(
            request.round, request.kind, silo, "answer", len(data), refused=error.code
        )
        return Outcome(asked, empty, SiloFailure(error.code, error.message))
    if message.kind == FAILURE:
        code, said = str(message.facts.get("code"))[:60], str(message.facts.get("message"))[:2000]
        entry = entry_of(message, data, silo, "answer", refused=code)
        return Outcome(asked, entry, SiloFailure(code, said))
    try:
        if message.kind != request.kind:
            raise damaged(f"it answers {message.kind[:60]!r} where {request.kind!r} was asked")
        work = work_of(request.kind)
        if schema is not None or not work.agreed:
            declared = work.declare(request, schema)  # type: ignore[arg-type]
            check_answer(_answer(message), declared, exact=work.summable)
    except SparkMLDistError as error:
        entry = entry_of(message, data, silo, "answer", refused=error.code)
        return Outcome(asked, entry, SiloFailure(error.code, error.message))
    return Outcome(asked, entry_of(message, data, silo, "answer"))


def _answer(message: Message) -> Answer:
    facts = dict(message.facts)
    return Answer(facts, message.arrays, facts.pop("epsilon", None))


class Replies:
    """Replies of a round in the order of names: an iterable of (name, `Answer`).

    One answer is in memory at a time; each iteration reads them again.

    Attributes
    ----------
    round : int
    names : list of str
        Silos that answered, sorted.
    failed : dict of str to SiloFailure
        Those that did not, and why.
    """

    def __init__(self, rounds: Rounds, round: int, outcomes: Mapping[str, Outcome]) -> None:  # noqa: A002
        self._rounds = rounds
        self.round = round
        self.names = sorted(n for n, o in outcomes.items() if o.failure is None)
        self.failed = {n: o.failure for n, o in sorted(outcomes.items()) if o.failure is not None}

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[tuple[str, Answer]]:
        for name in self.names:
            yield name, self[name]

    def __getitem__(self, name: str) -> Answer:
        """Return the answer of one silo."""
        return _answer(Message.unpack(self._rounds.reply(self.round, name)))

    def stored_sum(self) -> Message | None:
        """Return the sum of the round, where an earlier coordinator has added it up."""
        return self._rounds.sum(self.round)

    def store_sum(self, total: Message) -> None:
        """Keep the sum of the round; the answers are dropped."""
        self._rounds.commit_sum(self.round, total, self.names)
