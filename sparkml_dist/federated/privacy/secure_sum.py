"""Secure sums over a federation: the coordinator sees masked integers, and their sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError, TrainingError
from sparkml_dist.federated.message import Message
from sparkml_dist.federated.privacy.coordinator_side import CoordinatorSide
from sparkml_dist.federated.privacy.keys import KEY_BYTES
from sparkml_dist.federated.privacy.packages import needed
from sparkml_dist.federated.privacy.secure_works import (
    WRAPPED,
    asked_of,
    matrix,
    sum_id,
    texts,
    wrapped_form,
)
from sparkml_dist.federated.privacy.sum_terms import SumTerms
from sparkml_dist.federated.replies import Replies, SiloFailure
from sparkml_dist.federated.sums import Asks, Summed, SumProtocol
from sparkml_dist.federated.works import work_of

_Own = Mapping[str, tuple[Mapping[str, Any], Mapping[str, npt.NDArray[Any]]]]


class SecureSum(SumProtocol):
    """Adds up the silos' arrays so that the coordinator learns the sum and no part of it.

    Four rounds: public keys; shares of the secrets, sealed for each silo; the arrays in fixed point
    under masks that cancel in the sum; and, from the silos that are left, what removes the masks of
    those that dropped out. As long as `threshold` silos stay until the end, the sum is that of the
    silos whose masked arrays arrived.

    Parameters
    ----------
    threshold : int, optional
        Fewest silos of a sum, and of those that can open it together: more than half of the silos.
        By default more than two thirds of them: ``2 * n // 3 + 1``, at least 2.
    range : float, default=1.0
        Largest absolute value in one silo's arrays of floats. `Federation.sum(ranges=…)` declares
        that of single arrays. A silo with a larger value refuses; nothing wraps around. Integers
        may be as large as sums fit into the words, unless `ranges` says less.
    bits : {32, 64}, default=32
        Size of the words. The sum is exact in steps of about ``n * range / 2 ** (bits - 1)``;
        arrays of integers are exact.

    Notes
    -----
    *What it stands against.* A coordinator that follows the protocol and looks at all it sees, also
    together with fewer than `threshold` silos. A silo refuses a threshold below its policy's
    ``least_silos``, a sum over fewer silos than the threshold, both shares of one silo, and a
    second unmasking with other silos, so that a coordinator cannot ask for one silo's values by
    turns. Masks of a pair of silos cancel only where both were asked the same, so that it cannot
    ask all others for what it knows.

    *What it does not.* Public keys go through the coordinator, which could send its own in their
    place, or make up silos: an active coordinator is not kept out by the masks. The sum itself may
    say much, as may the difference of two sums over different silos in different rounds:
    differential privacy stands against that. A silo can spoil a sum with wrong values, and nobody
    sees which one; strategies that look at single updates (medians, Krum) cannot be had with secure
    sums.

    Facts of the summed work do not leave the silos.

    References
    ----------
    K. Bonawitz et al. Practical secure aggregation for privacy-preserving machine learning. ACM
    CCS, 2017. doi:10.1145/3133956.3133982.

    Examples
    --------
    >>> from sparkml_dist.federated import Federation
    >>> from sparkml_dist.federated.privacy import SecureSum
    >>> rows = {name: (np.ones((3, 2)), [0, 1, 1]) for name in ("east", "north", "west")}
    >>> federation = Federation.in_memory(rows)
    >>> secure = SecureSum(threshold=3, bits=64)
    >>> ranges = {"rows": 100, "class_rows": 100}
    >>> counted = federation.sum("rows", secure=secure, ranges=ranges)
    >>> counted.arrays["class_rows"].round(9)
    array([3., 6.])
    """

    def __init__(
        self,
        threshold: int | None = None,
        range: float = 1.0,  # noqa: A002
        bits: int = 32,
    ) -> None:
        if bits not in (32, 64) or not 0 < range < np.inf or (threshold or 2) < 2:
            raise ConfigurationError(
                "invalid_param",
                f"A secure sum cannot have threshold={threshold}, range={range}, bits={bits}.",
                "threshold is 2 or more, range above 0, bits 32 or 64.",
            )
        needed("cryptography.hazmat.primitives")
        self.threshold = threshold
        self.range = float(range)
        self.bits = bits

    def threshold_of(self, silos: int) -> int:
        """Return the threshold for so many silos.

        Raises
        ------
        ConfigurationError
            ``invalid_param``: it is more than the silos, or not more than half of them.
        """
        threshold = self.threshold or max(2, min(silos, 2 * silos // 3 + 1))
        if not silos >= threshold > silos / 2:
            raise ConfigurationError(
                "invalid_param",
                f"A secure sum over {silos} silos cannot have the threshold {threshold}.",
                "It is more than half of the silos, and at least 2.",
            )
        return threshold

    def sum(
        self,
        federation: Asks,
        kind: str,
        facts: Mapping[str, Any],
        arrays: Mapping[str, npt.NDArray[Any]],
        *,
        silos: Sequence[str],
        own: _Own,
        minimum: int,
        ranges: Mapping[str, float] | None,
    ) -> Summed:
        """Return the sum of the silos' answers; see `SumProtocol.sum`.

        Raises
        ------
        TrainingError
            ``too_few_silos``; ``secure_sum_forged`` when the masks cannot be removed.
        """
        threshold = self.threshold_of(len(silos))
        allowed = set(work_of(kind).own_facts)
        if any(set(own_facts) - allowed or own_arrays for own_facts, own_arrays in own.values()):
            raise ConfigurationError(
                "invalid_param",
                f"In a secure sum of {kind!r} silos cannot be asked different things.",
                "Their masks cancel only where all are asked the same; take a plain sum.",
            )
        failed: dict[str, SiloFailure] = {}

        def ask(kind: str, silos: Sequence[str], **asked: Any) -> Replies:
            replies = federation.ask(kind, silos=silos, minimum=max(minimum, threshold), **asked)
            failed.update(replies.failed)
            return replies

        def valid(replies: Replies, **shapes: tuple[int, int]) -> dict[str, dict[str, list[bytes]]]:
            """Return the texts of the answers; a silo that sends others has failed."""
            found = {}
            for name, answer in replies:
                try:
                    found[name] = {a: texts(answer, a, *shape) for a, shape in shapes.items()}
                except TrainingError as error:
                    failed[name] = SiloFailure(error.code, error.message)
            return found

        replies = ask("secure_keys", silos, facts={"threshold": threshold, "bits": self.bits})
        terms = SumTerms(sum_id(federation.run, replies.round), threshold, self.bits)
        side = CoordinatorSide(terms)
        keys = valid(replies, keys=(2, KEY_BYTES))
        side.open({name: (found["keys"][0], found["keys"][1]) for name, found in keys.items()})

        roster = list(side.roster)
        common = {"sum": terms.to_facts(), "silos": roster}
        public = {"keys": matrix([b"".join(side.roster[name]) for name in roster])}
        replies = ask("secure_shares", roster, facts=common, arrays=public)
        sealed = {
            name: (dict(zip(roster, rows, strict=True)), answer.arrays["commitment"].tobytes())
            for name, answer in replies
            if len(rows := [row.tobytes() for row in answer.arrays["sealed"]]) == len(roster)
        }
        inboxes = side.pass_on(sealed)

        request = Message(
            "secure_masked",
            0,
            "coordinator",
            {
                "sum": terms.to_facts(),
                "members": side.members,
                "parties": len(roster),
                "work": kind,
                "facts": dict(facts),
                "ranges": {**(ranges or {}), "": self.range},
            },
            {WRAPPED + name: array for name, array in arrays.items()},
        )
        side.asked = asked_of(request)
        replies = ask(
            "secure_masked",
            side.members,
            facts=request.facts,
            arrays=request.arrays,
            own={name: self._own(facts, own.get(name), inboxes[name]) for name in side.members},
        )
        self._add(side, replies, failed)
        survivors = side.close()

        closing = {
            "sum": terms.to_facts(),
            "members": side.members,
            "survivors": survivors,
        }
        replies = ask("secure_unmask", survivors, facts=closing)
        answers = {
            name: dict(zip(side.members, map(bytes, answer.arrays["shares"]), strict=True))
            for name, answer in replies
            if len(answer.arrays["shares"]) == len(side.members)
        }
        words = side.unmask(answers)
        form = wrapped_form(request, federation.schema)
        totals = {name: np.asarray(a, np.float64) for name, a in form.decode(words).items()}
        for name in survivors:  # a silo that dropped out after its words had come is in the sum
            failed.pop(name, None)
        return Summed(totals, {name: {} for name in survivors}, survivors, failed)

    @staticmethod
    def _own(
        facts: Mapping[str, Any],
        own: tuple[Mapping[str, Any], Mapping[str, npt.NDArray[Any]]] | None,
        inbox: Mapping[str, bytes],
    ) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Return what one silo alone gets: the shares for it, and its part of the request."""
        own_facts, own_arrays = own or ({}, {})
        mine = {WRAPPED + name: array for name, array in own_arrays.items()}
        mine["inbox"] = matrix([inbox[other] for other in sorted(inbox)])
        return ({"facts": {**facts, **own_facts}} if own_facts else {}), mine

    @staticmethod
    def _add(side: CoordinatorSide, replies: Replies, failed: dict[str, SiloFailure]) -> None:
        """Add the masked words up, and keep the sum with the round in their place."""
        stored = replies.stored_sum()
        if stored is not None:
            side.resume(stored.facts["silos"], stored.arrays["words"])
            return
        for name, answer in replies:
            try:
                side.add(name, answer.arrays["words"])
            except (KeyError, TrainingError):
                failed[name] = SiloFailure("secure_sum_forged", "It sends no masked words.")
        replies.store_sum(
            Message(
                "sum",
                replies.round,
                "coordinator",
                {"silos": side.survivors},
                {} if side.words is None else {"words": side.words},
            )
        )
