"""XXH64 of bytes, by its specification: the oracle for features of hashed words."""

from __future__ import annotations

import struct

_P = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)
_MASK = 2**64 - 1


def _left(x: int, r: int) -> int:
    return ((x << r) | (x >> (64 - r))) & _MASK


def _round(acc: int, lane: int) -> int:
    return _left((acc + lane * _P[1]) & _MASK, 31) * _P[0] & _MASK


def xxh64(data: bytes, seed: int = 42) -> int:
    """Return the hash as a signed number, as Spark does."""
    n, at = len(data), 0
    if n >= 32:
        acc = [
            (seed + _P[0] + _P[1]) & _MASK,
            (seed + _P[1]) & _MASK,
            seed & _MASK,
            (seed - _P[0]) & _MASK,
        ]
        while at + 32 <= n:
            lanes = struct.unpack_from("<4Q", data, at)
            acc = [_round(a, lane) for a, lane in zip(acc, lanes)]
            at += 32
        h = sum(_left(a, r) for a, r in zip(acc, (1, 7, 12, 18))) & _MASK
        for a in acc:
            h = ((h ^ _round(0, a)) * _P[0] + _P[3]) & _MASK
    else:
        h = (seed + _P[4]) & _MASK
    h = (h + n) & _MASK
    while at + 8 <= n:
        h = (
            _left(h ^ _round(0, struct.unpack_from("<Q", data, at)[0]), 27) * _P[0] + _P[3]
        ) & _MASK
        at += 8
    if at + 4 <= n:
        h = (_left(h ^ (struct.unpack_from("<I", data, at)[0] * _P[0]) & _MASK, 23) * _P[1]) & _MASK
        h = (h + _P[2]) & _MASK
        at += 4
    for byte in data[at:]:
        h = _left(h ^ (byte * _P[4]) & _MASK, 11) * _P[0] & _MASK
    h = (h ^ (h >> 33)) * _P[1] & _MASK
    h = (h ^ (h >> 29)) * _P[2] & _MASK
    h ^= h >> 32
    return h - 2**64 if h >= 2**63 else h
