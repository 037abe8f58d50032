"""What silos do for a secure sum: four works, in four rounds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sparkml_dist.federated.message import Message
from sparkml_dist.federated.policy import check_answer
from sparkml_dist.federated.privacy.fixed_point import FixedPoint
from sparkml_dist.federated.privacy.keys import KEY_BYTES, SEAL_BYTES
from sparkml_dist.federated.privacy.shamir import SHARE_BYTES
from sparkml_dist.federated.privacy.silo_side import SiloSide
from sparkml_dist.federated.privacy.sum_terms import SumTerms, forged, refused
from sparkml_dist.federated.work import Answer, Declaration, SiloWork
from sparkml_dist.federated.works import work_of

if TYPE_CHECKING:
    from sparkml_dist.federated.schema import FederatedSchema
    from sparkml_dist.federated.silo import Silo

_STATE = "secure-sum"
_SEALED_BYTES = 2 * SHARE_BYTES + SEAL_BYTES
#: Before the names of arrays of the request that a secure sum wraps.
WRAPPED = "work/"


class SecureKeysWork(SiloWork):
    """First round: make keys for one sum, and send the public ones."""

    kind: ClassVar[str] = "secure_keys"

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:  # noqa: D102
        return Declaration({"keys": ("u1", (2, KEY_BYTES))})

    def answer(self, silo: Silo, request: Message) -> Answer:  # noqa: D102
        terms = SumTerms.from_facts({**request.facts, "id": sum_id(request.run, request.round)})
        held = _held(silo, request)
        again = held is not None and held["terms"] == terms.to_facts()
        side = SiloSide(silo.name, terms, held if again else None, silo.policy.least_silos)
        _hold(silo, request, side)
        return Answer(arrays={"keys": matrix(side.advertise())})


class SecureSharesWork(SiloWork):
    """Second round: send shares of the secrets, sealed for each of the silos."""

    kind: ClassVar[str] = "secure_shares"

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:  # noqa: D102
        n = len(names_of(request, "silos"))
        return Declaration(
            {"sealed": ("u1", (n, _SEALED_BYTES)), "commitment": ("u1", (KEY_BYTES,))}
        )

    def answer(self, silo: Silo, request: Message) -> Answer:  # noqa: D102
        side = _side(silo, request)
        silos = names_of(request, "silos")
        public = texts(request, "keys", len(silos), 2 * KEY_BYTES)
        roster = {
            name: (both[:KEY_BYTES], both[KEY_BYTES:])
            for name, both in zip(silos, public, strict=True)
        }
        sealed, commitment = side.share(roster)
        _hold(silo, request, side)
        return Answer(
            arrays={
                "sealed": matrix([sealed[name] for name in silos]),
                "commitment": np.frombuffer(commitment, np.uint8),
            }
        )


class SecureMaskedWork(SiloWork):
    """Third round: do the work that is summed, and send its arrays under masks."""

    kind: ClassVar[str] = "secure_masked"

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:  # noqa: D102
        form = wrapped_form(request, schema)
        return Declaration({"words": (form.dtype.str[1:], (form.size,))})

    def answer(self, silo: Silo, request: Message) -> Answer:  # noqa: D102
        side = _side(silo, request)
        if request.facts.get("parties") != len(side.record.get("roster", ())):
            raise forged("the number of silos is not that of their keys")
        form = wrapped_form(request, silo.schema)
        inner = wrapped(request)
        work = work_of(inner.kind)
        # The policy of a plain request, but for the rule that there be none.
        silo.policy.check_request(work.kind, inner.round, silo.n_rows, summable=False)
        answer = work.answer(silo, inner)
        check_answer(answer, work.declare(inner, silo.schema), exact=True)
        members = names_of(request, "members")
        sealed = texts(request, "inbox", len(members), _SEALED_BYTES)
        inbox = dict(zip(members, sealed, strict=True))
        words = side.mask(inbox, form.encode(answer.arrays), asked_of(request))
        _hold(silo, request, side)
        return Answer(arrays={"words": words}, epsilon=answer.epsilon)


class SecureUnmaskWork(SiloWork):
    """Fourth round: send one share for each of the silos."""

    kind: ClassVar[str] = "secure_unmask"

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:  # noqa: D102
        return Declaration({"shares": ("u1", (len(names_of(request, "members")), SHARE_BYTES))})

    def answer(self, silo: Silo, request: Message) -> Answer:  # noqa: D102
        side = _side(silo, request)
        members = names_of(request, "members")
        shares = side.unmask(names_of(request, "survivors"))
        if sorted(shares) != members:
            raise forged("shares are asked of silos that do not take part")
        _hold(silo, request, side)
        return Answer(arrays={"shares": matrix([shares[name] for name in members])})


def sum_id(run: str, number: int) -> str:
    """Return the name of the secure sum whose first round has a number."""
    return f"{run}:{number}"


def wrapped(request: Message) -> Message:
    """Return the request that a secure sum wraps."""
    kind, facts = request.facts.get("work"), request.facts.get("facts")
    if not isinstance(kind, str) or not isinstance(facts, dict):
        raise forged("it does not say what is summed")
    arrays = {
        name.removeprefix(WRAPPED): array
        for name, array in request.arrays.items()
        if name.startswith(WRAPPED)
    }
    return Message(kind, request.round, request.sender, facts, arrays, request.run)


def asked_of(request: Message) -> str:
    """Return the checksum of what a request has silos sum, without what is each silo's own."""
    inner = wrapped(request)
    own = work_of(inner.kind).own_facts
    facts = {
        "facts": {name: value for name, value in inner.facts.items() if name not in own},
        **{name: request.facts.get(name) for name in ("sum", "parties", "ranges")},
    }
    # With sorted names: those of a silo's own facts come last in what it gets.
    facts = json.loads(json.dumps(facts, sort_keys=True))
    arrays = {name: inner.arrays[name] for name in sorted(inner.arrays)}
    return hashlib.sha256(Message(inner.kind, 0, "", facts, arrays).pack()).hexdigest()


def wrapped_form(request: Message, schema: FederatedSchema) -> FixedPoint:
    """Return how the arrays of the wrapped work stand in the words, on both sides alike."""
    inner = wrapped(request)
    work = work_of(inner.kind)
    if not work.summable:
        raise refused(f"the answers of the work {inner.kind!r} cannot be added up")
    facts = request.facts
    terms = SumTerms.from_facts(facts.get("sum"))
    try:
        ranges = {str(name): float(value) for name, value in facts["ranges"].items()}
        parties = int(facts["parties"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise forged("it does not say the ranges") from error
    if parties < terms.threshold:
        raise forged("the number of silos is below the threshold")
    return FixedPoint.of(work.declare(inner, schema).arrays, ranges, terms.bits, parties)


def names_of(request: Message, fact: str) -> list[str]:
    """Return a list of silos in a request, which must be sorted and without repetition."""
    names = request.facts.get(fact)
    if not isinstance(names, list) or names != sorted({str(name) for name in names}):
        raise forged(f"its {fact} are no list of silos")
    return names


def texts(message: Any, array: str, count: int, size: int) -> list[bytes]:
    """Return the rows of an array of bytes, whose shape is checked."""
    rows = message.arrays.get(array)
    if rows is None or rows.dtype != np.uint8 or rows.size != count * size or len(rows) != count:
        raise forged(f"its {array} are not {count} texts of {size} bytes")
    return [row.tobytes() for row in rows]


def matrix(rows: Sequence[bytes]) -> np.ndarray:
    """Return texts of equal length as an array of bytes, one in a row."""
    return np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), -1)


def _held(silo: Silo, request: Message) -> Mapping[str, Any] | None:
    # The newest version, that of this very round too: a step must know that it was done.
    held = silo.state.read(_STATE, before=request.round + 1)
    if held is None:
        return None
    record: dict[str, Any] = json.loads(held["record"].tobytes())
    return record


def _hold(silo: Silo, request: Message, side: SiloSide) -> None:
    text = json.dumps(side.record).encode()
    silo.state.write(_STATE, request.round, {"record": np.frombuffer(text, np.uint8)})


def _side(silo: Silo, request: Message) -> SiloSide:
    terms = SumTerms.from_facts(request.facts.get("sum"))
    record = _held(silo, request)
    if record is None or record["terms"] != terms.to_facts():
        raise refused("it has no keys for this sum")
    return SiloSide(silo.name, terms, record, silo.policy.least_silos)
