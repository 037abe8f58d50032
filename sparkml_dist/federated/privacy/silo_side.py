"""A silo's side of a secure sum."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sparkml_dist.federated.privacy import keys, shamir
from sparkml_dist.federated.privacy.key_stream import add_streams
from sparkml_dist.federated.privacy.noise import NoiseSource
from sparkml_dist.federated.privacy.sum_terms import (
    SumTerms,
    about_mask,
    about_shares,
    commitment,
    forged,
    refused,
)


class SiloSide:
    """Masks a silo's words so that a coordinator learns the sum over silos and nothing else.

    Four steps, in order: `advertise`, `share`, `mask`, `unmask`. A step that is asked again with
    the same content gives the same bytes; with another content it is refused, because two masked
    vectors under one mask, or both shares of one silo, show single values.

    Parameters
    ----------
    name : str
        The silo's name in the sum.
    terms : SumTerms
    record : mapping, optional
        What `record` was when the silo stopped in mid-sum. It holds the silo's secret of this sum
        and stays in the silo.
    minimum : int, default=2
        Least threshold that the silo accepts.

    Notes
    -----
    The masks stand against a coordinator that follows the protocol and tries to learn from what it
    sees, possibly together with fewer than `threshold` silos. They do not stand against one that
    puts its own keys in the place of the silos', or makes up silos. Any silo can spoil a sum with
    wrong values, which masks hide by design.

    References
    ----------
    K. Bonawitz et al. Practical secure aggregation for privacy-preserving machine learning. ACM
    CCS, 2017. doi:10.1145/3133956.3133982.
    """

    def __init__(
        self,
        name: str,
        terms: SumTerms,
        record: Mapping[str, Any] | None = None,
        minimum: int = 2,
    ) -> None:
        if terms.threshold < max(minimum, 2):
            raise refused(
                f"the threshold is {terms.threshold}, and the silo wants {max(minimum, 2)} at least"
            )
        self.name = name
        self.terms = terms
        self._derived: dict[str, bytes] = {}
        self.record: dict[str, Any] = (
            dict(record)
            if record
            else {"terms": terms.to_facts(), "secret": secrets.token_hex(keys.KEY_BYTES)}
        )
        if self.record["terms"] != terms.to_facts():
            raise refused("its terms have changed")

    def advertise(self) -> tuple[bytes, bytes]:
        """Return the public keys of the silo's masks and of its channels, for this sum alone."""
        return keys.public_key(self._own("mask")), keys.public_key(self._own("channel"))

    def share(self, roster: Mapping[str, tuple[bytes, bytes]]) -> tuple[dict[str, bytes], bytes]:
        """Return shares of the silo's two secrets, sealed for each silo, and a commitment.

        Parameters
        ----------
        roster : mapping of str to (bytes, bytes)
            Public keys of all silos of the sum.

        Returns
        -------
        sealed : dict of str to bytes
            For each silo of the roster.
        commitment : bytes
            SHA-256 of the self mask's seed, by which a false share is found out.
        """
        names = sorted(roster)
        if self.name not in roster or tuple(roster[self.name]) != self.advertise():
            raise forged(f"the list of keys does not hold those of {self.name!r}")
        if len({key for pair in roster.values() for key in pair}) < 2 * len(roster):
            raise forged("two silos have the same key")
        if len(names) < self.terms.threshold:
            raise refused(f"{len(names)} silos take part, and {self.terms.threshold} have to")
        if 2 * self.terms.threshold <= len(names):
            raise refused(
                f"with a threshold of {self.terms.threshold}, two halves of {len(names)} silos "
                "could give away both secrets of a silo"
            )
        self._once("roster", {name: [key.hex() for key in roster[name]] for name in names})
        below = NoiseSource(self._own("polynomials")).below
        secret = [self._own("mask"), self._own("self mask")]
        of_mask, of_self = (
            shamir.split(part, self.terms.threshold, len(names), below) for part in secret
        )
        sealed = {}
        for place, name in enumerate(names):
            about = about_shares(self.terms, self.name, name)
            text = of_mask[place] + of_self[place]
            sealed[name] = keys.sealed(self._channel(name, about), text, repr(about).encode())
        return sealed, commitment(secret[1])

    def mask(self, inbox: Mapping[str, bytes], words: np.ndarray, asked: str = "") -> np.ndarray:
        """Return the silo's words under its masks, in place.

        Parameters
        ----------
        inbox : mapping of str to bytes
            What each silo that is still there has sealed for this one, itself included.
        words : numpy.ndarray of shape (n,), ``<u4`` or ``<u8``
            Overwritten.
        asked : str
            Checksum of what is summed: masks cancel only where all silos were asked the same.
        """
        members = sorted(inbox)
        roster = self._step("roster")
        if self.name not in inbox or not set(members) <= set(roster):
            raise forged("shares come from silos that are not in the sum")
        if len(members) < self.terms.threshold:
            raise refused(f"{len(members)} silos are left, and {self.terms.threshold} have to be")
        if words.dtype.itemsize * 8 != self.terms.bits:
            raise forged(f"the words do not have {self.terms.bits} bits")
        self._once("inbox", {name: inbox[name].hex() for name in members})
        self._shares()
        self._once("words", hashlib.sha256(words.data).hexdigest())
        streams = [(self._own("self mask"), 1)]
        for other in members:
            if other != self.name:
                about = about_mask(self.terms, self.name, other, asked)
                key = keys.agreed(self._own("mask"), bytes.fromhex(roster[other][0]), *about)
                if key is None:
                    raise forged(f"the key of {other!r} is none")
                streams.append((key, 1 if self.name < other else -1))
        add_streams(words, streams)
        return words

    def unmask(self, survivors: Sequence[str]) -> dict[str, bytes]:
        """Return a share of one secret of each silo: never of both.

        Parameters
        ----------
        survivors : sequence of str
            Silos whose masked words are in the sum. Of these the silo gives its share of the self
            mask's seed, of the others its share of the key of their pairwise masks.
        """
        self._step("words")
        members = self._step("inbox")
        if self.name not in survivors or not set(survivors) <= set(members):
            raise forged("the sum is over silos that do not take part")
        if len(set(survivors)) < self.terms.threshold:
            raise refused(
                f"the sum is over {len(set(survivors))} silos, and {self.terms.threshold} have to "
                "be in it"
            )
        self._once("survivors", sorted(set(survivors)))
        return {
            name: of_self if name in survivors else of_mask
            for name, (of_mask, of_self) in self._shares().items()
        }

    def _own(self, purpose: str) -> bytes:
        if purpose not in self._derived:
            secret = bytes.fromhex(self.record["secret"])
            self._derived[purpose] = keys.derived(secret, purpose, self.terms.id)
        return self._derived[purpose]

    def _channel(self, other: str, about: list[str]) -> bytes:
        """Return the key for what goes between this silo and another, in one direction."""
        public = bytes.fromhex(self._step("roster")[other][1])
        key = keys.agreed(self._own("channel"), public, *about)
        if key is None:
            raise forged(f"the key of {other!r} is none")
        return key

    def _shares(self) -> dict[str, tuple[bytes, bytes]]:
        """Return what others have sealed for this silo: shares of their key and of their seed."""
        found = {}
        for name, text in self._step("inbox").items():
            about = about_shares(self.terms, name, self.name)
            both = keys.opened(
                self._channel(name, about), bytes.fromhex(text), repr(about).encode()
            )
            if both is None or len(both) != 2 * shamir.SHARE_BYTES:
                raise forged(f"the shares of {name!r} were altered, or are not for this silo")
            found[name] = both[: shamir.SHARE_BYTES], both[shamir.SHARE_BYTES :]
        return found

    def _step(self, name: str) -> Any:
        if name not in self.record:
            raise refused("its steps come in another order")
        return self.record[name]

    def _once(self, name: str, content: Any) -> None:
        """Keep what a step was asked, and refuse the step with another content."""
        if self.record.setdefault(name, content) != content:
            raise refused(f"it is asked for a second time in one sum, with other {name}")
