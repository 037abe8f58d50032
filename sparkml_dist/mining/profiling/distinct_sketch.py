"""An estimate of the number of distinct values, in a few kilobytes."""

from __future__ import annotations

from collections import deque

from datasketches import hll_sketch, hll_union, tgt_hll_type

__all__ = ["DistinctSketch"]

_TYPE = tgt_hll_type.HLL_8  # one byte per register: larger than packed registers, but faster
_EMPTY = "\0 the empty text"


class DistinctSketch:
    """The HyperLogLog sketch of Apache DataSketches, over lists of values.

    Flajolet, Fusy, Gandouet, Meunier (2007), "HyperLogLog: the analysis of a near-optimal
    cardinality estimation algorithm". The standard error is about ``1.04 / sqrt(2**p)``, and far
    less below an eighth of the registers, where the sketch keeps the hashes themselves.

    Parameters
    ----------
    p : int
        Binary logarithm of the number of registers, 4 to 21.
    """

    def __init__(self, p: int, content: bytes | None = None) -> None:
        self.p = p
        self._sketch = hll_sketch(p, _TYPE) if content is None else hll_sketch.deserialize(content)

    def update(self, values: list[int] | list[float] | list[str]) -> None:
        """Add values of one type; distinct ones are faster, with the same result."""
        deque(map(self._sketch.update, values), 0)
        if "" in values:  # which the sketch ignores
            self._sketch.update(_EMPTY)

    def merge(self, other: DistinctSketch) -> None:
        """Add another sketch of the same `p`."""
        union = hll_union(self.p)
        union.update(self._sketch)
        union.update(other._sketch)
        self._sketch = union.get_result(_TYPE)

    def estimate(self) -> float:
        """Return the estimated number of distinct values."""
        return float(self._sketch.get_estimate())

    def to_bytes(self) -> bytes:
        """Return the state, for the argument `content` of the class."""
        return bytes(self._sketch.serialize_compact())
