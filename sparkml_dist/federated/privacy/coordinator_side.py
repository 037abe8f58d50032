"""The coordinator's side of a secure sum."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, islice

import numpy as np

from sparkml_dist.federated.privacy import keys, shamir
from sparkml_dist.federated.privacy.key_stream import add_streams
from sparkml_dist.federated.privacy.sum_terms import (
    SumTerms,
    about_mask,
    commitment,
    forged,
    too_few,
)

# Sets of shares that are tried until one gives the secret: the first, unless some are false.
_TRIES = 500


class CoordinatorSide:
    """Adds up masked words and removes the masks from the sum, with the help of the silos left.

    Parameters
    ----------
    terms : SumTerms
    """

    def __init__(self, terms: SumTerms) -> None:
        self.terms = terms
        self.roster: dict[str, tuple[bytes, bytes]] = {}
        self.members: list[str] = []
        self.survivors: list[str] = []
        self._commitments: dict[str, bytes] = {}
        #: Checksum of what is summed.
        self.asked = ""
        self.words: np.ndarray | None = None

    def open(self, public: Mapping[str, tuple[bytes, bytes]]) -> None:
        """Take the public keys of the silos that answered: these are in the sum."""
        self._enough(list(public), "the keys")
        self.roster = {name: public[name] for name in sorted(public)}

    def pass_on(
        self, sealed: Mapping[str, tuple[Mapping[str, bytes], bytes]]
    ) -> dict[str, dict[str, bytes]]:
        """Return what each silo gets of the others' sealed shares.

        Parameters
        ----------
        sealed : mapping of str to (mapping of str to bytes, bytes)
            Shares by receiver, and commitment, of each silo that answered. One whose answer does
            not name every silo of the sum is left out.
        """
        self.members = sorted(
            name for name, (boxes, _) in sealed.items() if set(boxes) == set(self.roster)
        )
        self._enough(self.members, "the shares")
        self._commitments = {name: sealed[name][1] for name in self.members}
        return {
            name: {other: sealed[other][0][name] for other in self.members} for name in self.members
        }

    def add(self, name: str, words: np.ndarray) -> None:
        """Add one silo's masked words to the sum.

        Raises
        ------
        TrainingError
            ``secure_sum_forged``: the words are of another type or length. The silo is then like
            one that dropped out.
        """
        if name not in self.members or name in self.survivors:
            raise forged(f"{name!r} sends words that nobody has asked for")
        if words.ndim != 1 or words.dtype.itemsize * 8 != self.terms.bits:
            raise forged(f"the words of {name!r} are not of {self.terms.bits} bits")
        if self.words is None:
            self.words = np.zeros_like(words)
        if words.shape != self.words.shape:
            raise forged(f"{name!r} sends {len(words)} words in place of {len(self.words)}")
        np.add(self.words, words, out=self.words)
        self.survivors.append(name)

    def resume(self, survivors: Sequence[str], words: np.ndarray) -> None:
        """Take the sum that an earlier coordinator has added up."""
        self.survivors = list(survivors)
        self.words = words

    def close(self) -> list[str]:
        """Return the silos whose words are in the sum, when no more are to come."""
        self._enough(self.survivors, "the masked words")
        self.survivors.sort()
        return self.survivors

    def unmask(self, answers: Mapping[str, Mapping[str, bytes]]) -> np.ndarray:
        """Return the sum of the survivors' words.

        Parameters
        ----------
        answers : mapping of str to (mapping of str to bytes)
            By silo, its share of one secret of each member. False shares are found out and left
            out, as long as enough right ones remain.
        """
        self._enough(list(answers), "the shares of the masks")
        assert self.words is not None
        streams: list[tuple[bytes, int]] = []
        for owner in self.members:
            shares = {
                1 + place: answers[name][owner]
                for place, name in enumerate(self.roster)
                if name in answers and owner in answers[name]
            }
            if owner in self.survivors:
                seed = self._joined(owner, shares, commitment, self._commitments[owner])
                streams.append((seed, -1))
            else:
                private = self._joined(owner, shares, keys.public_key, self.roster[owner][0])
                streams += self._pairs(owner, private)
        add_streams(self.words, streams)
        return self.words

    def _pairs(self, gone: str, private: bytes) -> list[tuple[bytes, int]]:
        """Return what removes the masks that survivors share with a silo that dropped out."""
        streams = []
        for name in self.survivors:
            about = about_mask(self.terms, gone, name, self.asked)
            key = keys.agreed(private, self.roster[name][0], *about)
            assert key is not None  # the survivor has agreed on it
            streams.append((key, -1 if name < gone else 1))
        return streams

    def _joined(
        self, owner: str, shares: dict[int, bytes], image: Callable[[bytes], bytes], known: bytes
    ) -> bytes:
        """Return the secret that any `threshold` of the shares give, of which some may be false.

        The right secret is that whose image is known.
        """
        whole = {x: share for x, share in shares.items() if len(share) == shamir.SHARE_BYTES}
        for places in islice(combinations(whole, self.terms.threshold), _TRIES):
            secret = shamir.join({x: whole[x] for x in places})
            if secret is not None and image(secret) == known:
                return secret
        raise forged(f"{len(shares)} shares do not give the secret of {owner!r}")

    def _enough(self, left: list[str], stage: str) -> None:
        if len(left) < self.terms.threshold:
            raise too_few(left, self.terms, stage)
