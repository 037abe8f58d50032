"""Random numbers for privacy, from a cipher: who sees some of them cannot foretell others."""

from __future__ import annotations

import hashlib
import logging
import secrets
from fractions import Fraction
from math import floor, prod
from typing import TYPE_CHECKING

import numpy as np

from sparkml_dist.federated.privacy.key_stream import KeyStream

if TYPE_CHECKING:
    from sparkml_dist.federated.federation import Federation
    from sparkml_dist.federated.message import Message
    from sparkml_dist.federated.silo import Silo

_LOG = logging.getLogger(__name__)
_BUFFER = 1 << 14


class NoiseSource:
    """Draws noise and samples from AES-256 in counter mode, with a key from the system by default.

    Normal and Laplace noise are floats (Box-Muller, inverse distribution); who must exclude attacks
    on the low bits of floats takes the discrete noise, which is exact.

    Parameters
    ----------
    seed : int or bytes, optional
        An int gives the same noise at each run, for tests alone: who knows it removes the noise. A
        log entry says so. Bytes are a secret key.

    References
    ----------
    C. L. Canonne, G. Kamath, T. Steinke. The discrete Gaussian for differential privacy. NeurIPS,
    2020.
    """

    def __init__(self, seed: int | bytes | None = None) -> None:
        if seed is None:
            key = secrets.token_bytes(32)
        else:
            if isinstance(seed, int):
                _LOG.warning("Noise has a seed: for tests only, it protects nobody.")
                seed = repr(seed).encode()
            key = hashlib.sha256(b"noise\0" + seed).digest()
        self._stream = KeyStream(key)
        self._bytes = b""
        self._used = 0

    @classmethod
    def of(cls, silo: Silo, request: Message, purpose: str = "") -> NoiseSource:
        """Return a silo's noise for a request: the same when the request comes again.

        It follows from the silo's secret, never from a seed.
        """
        return cls(silo.key(request, purpose))

    @classmethod
    def of_federation(cls, federation: Federation, purpose: str = "") -> NoiseSource:
        """Return the coordinator's noise before its next round: the same in a resumed run."""
        return cls(federation.key(purpose))

    def uniform(self, count: int) -> np.ndarray:
        """Return numbers between 0 and 1, both excluded, shape (count,)."""
        return ((self._stream.words(count) >> np.uint64(12)) + 0.5) * 2.0**-52

    def bernoulli(self, count: int, rate: float) -> np.ndarray:
        """Return True with probability `rate`, independently, shape (count,)."""
        return self.uniform(count) < rate

    def normal(self, shape: int | tuple[int, ...], scale: float = 1.0) -> np.ndarray:
        """Return Gaussian noise of standard deviation `scale`."""
        count = shape if isinstance(shape, int) else prod(shape)
        half = (count + 1) // 2
        radius = np.sqrt(-2.0 * np.log(self.uniform(half)))
        angle = 2.0 * np.pi * self.uniform(half)
        both = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
        return scale * both[:count].reshape(shape)

    def laplace(self, shape: int | tuple[int, ...], scale: float = 1.0) -> np.ndarray:
        """Return Laplace noise of scale `scale`, whose standard deviation is √2 times that."""
        count = shape if isinstance(shape, int) else prod(shape)
        sign = np.where(self.bernoulli(count, 0.5), 1.0, -1.0)
        return scale * (-np.log(self.uniform(count)) * sign).reshape(shape)

    def discrete_laplace(self, count: int, scale: float) -> np.ndarray:
        """Return integers x with probability proportional to exp(-abs(x) / scale), exactly."""
        t, s = Fraction(scale).as_integer_ratio()
        return np.array([self._one_laplace(t, s) for _ in range(count)], np.int64)

    def discrete_gaussian(self, count: int, scale: float) -> np.ndarray:
        """Return integers x with probability proportional to exp(-x² / (2 scale²)), exactly."""
        variance = Fraction(scale) ** 2
        t = floor(scale) + 1
        found: list[int] = []
        while len(found) < count:
            y = self._one_laplace(t, 1)
            if self._exp_chance((abs(y) - variance / t) ** 2 / (2 * variance)):
                found.append(y)
        return np.array(found, np.int64)

    def below(self, bound: int) -> int:
        """Return an integer of 0 to `bound` - 1, all equally likely."""
        size = (bound.bit_length() + 7) // 8
        excess = 8 * size - bound.bit_length()
        while True:
            if self._used + size > len(self._bytes):
                self._bytes = self._stream.words(max(_BUFFER, size) // 8).tobytes()
                self._used = 0
            drawn = int.from_bytes(self._bytes[self._used : self._used + size]) >> excess
            self._used += size
            if drawn < bound:
                return drawn

    def _one_laplace(self, t: int, s: int) -> int:
        """Return an integer of the discrete Laplace distribution of scale t / s."""
        while True:
            u = self.below(t)
            if not self._exp_chance(Fraction(u, t)):
                continue
            v = 0
            while self._exp_chance(Fraction(1)):
                v += 1
            size = (u + t * v) // s
            negative = bool(self.below(2))
            if not (negative and size == 0):
                return -size if negative else size

    def _exp_chance(self, gamma: Fraction) -> bool:
        """Return True with probability exp(-gamma)."""
        while gamma > 1:
            if not self._exp_chance(Fraction(1)):
                return False
            gamma -= 1
        top, bottom = gamma.as_integer_ratio()
        k = 1
        while self.below(bottom * k) < top:
            k += 1
        return k % 2 == 1
