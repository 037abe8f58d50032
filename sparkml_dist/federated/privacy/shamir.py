"""Shares of a secret, of which any `threshold` give it back and fewer say nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

# The smallest prime above 2^256, so that each secret of 32 bytes is a number of the field.
PRIME = 2**256 + 297
SHARE_BYTES = 33
SECRET_BYTES = 32


def split(secret: bytes, threshold: int, count: int, below: Callable[[int], int]) -> list[bytes]:
    """Return shares of a secret: a random polynomial of degree `threshold` - 1 at 1 to `count`.

    Parameters
    ----------
    secret : bytes of length 32
    threshold, count : int
    below : callable
        Draws an integer of 0 to its argument - 1.

    References
    ----------
    A. Shamir. How to share a secret. Communications of the ACM, 22(11), 1979.
    """
    coefficients = [int.from_bytes(secret), *(below(PRIME) for _ in range(threshold - 1))]
    shares = []
    for x in range(1, count + 1):
        value = 0
        for coefficient in reversed(coefficients):
            value = (value * x + coefficient) % PRIME
        shares.append(value.to_bytes(SHARE_BYTES))
    return shares


def join(shares: Mapping[int, bytes]) -> bytes | None:
    """Return the secret from as many shares as its threshold says, by their place from 1 on.

    None where they do not give 32 bytes: then one of them at least is not a share. Other wrong
    shares give a wrong secret, which the caller tells by what is known of the secret.
    """
    weights = _weights(tuple(shares))
    total = sum(int.from_bytes(share) * weights[x] for x, share in shares.items()) % PRIME
    return total.to_bytes(SHARE_BYTES)[1:] if total < 2**256 else None


@lru_cache(maxsize=64)
def _weights(places: tuple[int, ...]) -> dict[int, int]:
    """Return the weights of values at these places in the polynomial's value at 0."""
    weights = {}
    for x in places:
        top, bottom = 1, 1
        for other in places:
            if other != x:
                top = top * other % PRIME
                bottom = bottom * (other - x) % PRIME
        weights[x] = top * pow(bottom, -1, PRIME) % PRIME
    return weights
