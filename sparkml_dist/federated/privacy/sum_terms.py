"""The terms of a secure sum that silos and coordinator share, and how a sum is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sparkml_dist.errors import TrainingError


@dataclass(frozen=True)
class SumTerms:
    """One secure sum: its name, the least number of silos in it, and the size of its words."""

    id: str
    threshold: int
    bits: int

    def to_facts(self) -> dict[str, Any]:
        """Return the terms as JSON."""
        return {"id": self.id, "threshold": self.threshold, "bits": self.bits}

    @classmethod
    def from_facts(cls, facts: Any) -> SumTerms:
        """Return the terms in a request.

        Raises
        ------
        TrainingError
            ``secure_sum_forged``.
        """
        try:
            terms = cls(str(facts["id"]), int(facts["threshold"]), int(facts["bits"]))
        except (KeyError, TypeError, ValueError) as error:
            raise forged("the request does not state its terms") from error
        if not 0 < len(terms.id) <= 64 or terms.bits not in (32, 64):
            raise forged("the request's terms are not those of a sum")
        return terms


def commitment(seed: bytes) -> bytes:
    """Return what tells the right seed of a self mask from a wrong one, and nothing else."""
    return hashlib.sha256(b"sparkml_dist self mask\0" + seed).digest()


def about_shares(terms: SumTerms, sender: str, receiver: str) -> list[str]:
    """Return what a sealed pair of shares is bound to."""
    return ["shares", terms.id, sender, receiver]


def about_mask(terms: SumTerms, first: str, second: str, asked: str) -> list[str]:
    """Return what the mask of a pair of silos is bound to: also to what both were asked.

    Masks of silos that were asked different things do not cancel. Otherwise a coordinator could ask
    all silos but one for what it knows, and read that one's values from the sum.
    """
    return ["mask", terms.id, *sorted((first, second)), asked]


def refused(why: str) -> TrainingError:
    """Return a silo's error when a sum would say more than it may."""
    return TrainingError(
        "secure_sum_refused",
        f"The silo does not go on with a secure sum: {why}.",
        "The coordinator asks for what would show values of single silos; see the threat model in "
        "docs/federated.md.",
    )


def forged(why: str) -> TrainingError:
    """Return the error for a message of a secure sum that is not what it must be."""
    return TrainingError(
        "secure_sum_forged",
        f"A message of a secure sum is wrong: {why}.",
        "A silo or the coordinator is faulty, of another version, or hostile.",
    )


def too_few(left: Sequence[str], terms: SumTerms, stage: str) -> TrainingError:
    """Return the error when fewer silos are left than the threshold."""
    return TrainingError(
        "too_few_silos",
        f"{len(left)} silos are left after {stage}, and a secure sum needs {terms.threshold}.",
        "Repeat the round when more silos answer, or lower the threshold if the owners agree.",
    )
