"""Answers one request inside a silo: policy, work, declaration, ledger."""

from __future__ import annotations

import hashlib
import logging
from typing import Any

from sparkml_dist.errors import SparkMLDistError, TrainingError
from sparkml_dist.federated.ledger import LedgerEntry, entry_of
from sparkml_dist.federated.message import Message
from sparkml_dist.federated.policy import check_answer, refused
from sparkml_dist.federated.silo import SiloSite
from sparkml_dist.federated.work import Answer
from sparkml_dist.federated.works import work_of
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["FAILURE", "answer_request", "silo_ledger"]

_logger = logging.getLogger(__name__)

#: Kind of the message that tells why a silo does not answer.
FAILURE = "failure"
_LEDGER, _NEWEST = "ledger", "newest.msg"


def answer_request(site: SiloSite, data: bytes, *, keep_reply: bool = False) -> bytes:
    """Answer a request; what cannot or may not be answered gets a message of the kind "failure".

    Parameters
    ----------
    site : SiloSite
    data : bytes
        The request as it came.
    keep_reply : bool, default=False
        Keep the newest answer in the site's folder, so that a request that comes again gets the
        very same bytes.

    Returns
    -------
    bytes
        The reply as it leaves. The silo's ledger holds it by then.
    """
    try:
        request = Message.unpack(data, site.policy.most_request_bytes)
    except SparkMLDistError as error:
        return _failure(site, Message("", 0, "coordinator"), error).pack()
    memory = _Memory(site, request.run)
    try:
        again = memory.check(request, data)
        _check_runs(site, request.run)
    except SparkMLDistError as error:
        reply = _failure(site, request, error).pack()
        memory.note(entry_of(request, data, site.name, "request", refused=error.code))
        return reply
    if again and (kept := memory.newest(request)):
        return kept
    try:
        message = _answer(site, request)
    except Exception as error:  # a work may raise anything; its silo goes on
        told = not isinstance(error, SparkMLDistError)
        _logger.warning("silo %s, round %d: %s", site.name, request.round, error, exc_info=told)
        message = _failure(site, request, error)
    reply = message.pack()
    code = message.facts["code"] if message.kind == FAILURE else ""
    memory.note(
        entry_of(request, data, site.name, "request", refused=code),
        entry_of(message, reply, site.name, "answer", refused=code),
        request=hashlib.sha256(data).hexdigest(),
    )
    if keep_reply and not code:
        memory.keep(reply)
    return reply


def silo_ledger(site: SiloSite, run: str) -> list[LedgerEntry]:
    """Return the silo's own ledger of one run, in the order of rounds."""
    return _Memory(site, run).entries()


def _answer(site: SiloSite, request: Message) -> Message:
    silo = site.silo(request.run)
    work = work_of(request.kind)
    silo.policy.check_request(work.kind, request.round, silo.n_rows, summable=work.summable)
    schema = silo.schema if work.agreed else silo.own_schema
    declared = work.declare(request, schema)
    answer = work.answer(silo, request)
    check_answer(answer, declared, exact=work.summable)
    if answer.epsilon is None:
        silo.policy.check_without_noise(work.kind)
    else:
        # Another run does not give the rows another budget: losses of runs add up.
        spent = site.spent()
        spent[request.run] = max(float(answer.epsilon), spent.get(request.run, 0.0))
        silo.policy.check_epsilon(sum(spent.values()))
        site.spend(spent)
    message = _message(silo.name, request, answer)
    size = sum(array.nbytes for array in answer.arrays.values())
    if size > silo.policy.most_bytes:
        raise refused(f"the answer has {size:,} bytes, and {silo.policy.most_bytes:,} may leave")
    return message


def _check_runs(site: SiloSite, run: str) -> None:
    most = site.policy.most_runs
    if most is not None and not site.joined(run, most):
        raise refused(f"its policy allows {most} runs")


def _message(sender: str, request: Message, answer: Answer) -> Message:
    facts = dict(answer.facts)
    if answer.epsilon is not None:
        facts["epsilon"] = float(answer.epsilon)
    return Message(request.kind, request.round, sender, facts, answer.arrays, request.run)


def _failure(site: SiloSite, request: Message, error: Exception) -> Message:
    code = error.code if isinstance(error, SparkMLDistError) else "silo_failed"
    if site.policy.tell_errors:
        own = isinstance(error, SparkMLDistError)
        said = error.message if own else f"{type(error).__name__}: {error}"  # type: ignore[attr-defined]
    else:
        said = "The silo's log says more."
    facts = {"code": code, "message": said[:2000], "kind": request.kind[:100]}
    return Message(FAILURE, request.round, site.name, facts, run=request.run)


class _Memory:
    """What a silo remembers of a run: which requests it had, and its ledger."""

    def __init__(self, site: SiloSite, run: str) -> None:
        home = site.home(run)
        self._folder: Folder | None = None if home is None else home.child(_LEDGER)
        self._held: dict[int, dict[str, Any]] = site.held.setdefault(f"ledger {run}", {})

    def check(self, request: Message, data: bytes) -> bool:
        """Tell whether the very request came before; raise where its round had another."""
        record = self._record(request.round)
        if record is None or not record["request"]:
            newest = self._newest_round()
            if newest is not None and request.round < newest:
                raise _repeated(f"round {request.round} is over, the silo is in round {newest}")
            return False
        if record["request"] != hashlib.sha256(data).hexdigest():
            raise _repeated(f"round {request.round} had another request before")
        return True

    def note(self, *entries: LedgerEntry, request: str = "") -> None:
        """Write entries of one round."""
        number = entries[0].round
        record = self._record(number) or {"request": "", "entries": []}
        record["request"] = record["request"] or request
        record["entries"] += [entry.to_dict() for entry in entries]
        if self._folder is None:
            self._held[number] = record
        else:
            self._folder.write_json(f"{number:06d}.json", record)

    def keep(self, reply: bytes) -> None:
        if self._folder is not None:
            self._folder.write_bytes(_NEWEST, reply)

    def newest(self, request: Message) -> bytes | None:
        """Return the kept reply of a request that comes again."""
        if self._folder is None or not self._folder.exists(_NEWEST):
            return None
        reply = self._folder.read_bytes(_NEWEST)
        return reply if Message.unpack(reply).round == request.round else None

    def entries(self) -> list[LedgerEntry]:
        records = (self._record(number) for number in self._rounds())
        return [LedgerEntry.from_dict(e) for r in records if r for e in r["entries"]]

    def _record(self, number: int) -> dict[str, Any] | None:
        if self._folder is None:
            return self._held.get(number)
        name = f"{number:06d}.json"
        if not self._folder.exists(name):
            return None
        record: dict[str, Any] = self._folder.read_json(name)
        return record

    def _rounds(self) -> list[int]:
        if self._folder is None:
            return sorted(self._held)
        return [int(name.removesuffix(".json")) for name in self._folder.names(".json")]

    def _newest_round(self) -> int | None:
        for number in reversed(self._rounds()):
            if (record := self._record(number)) and record["request"]:
                return number
        return None


def _repeated(why: str) -> TrainingError:
    return TrainingError(
        "round_repeated",
        f"A request is refused: {why}.",
        "It was replayed or forged; or the coordinator was started again without its folder.",
    )
