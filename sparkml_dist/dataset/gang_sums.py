"""A solver in a gang: rank 0 runs it, and all ranks form its sums over blocks that they keep."""

from __future__ import annotations

import base64
import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.rank_context import RankContext
from sparkml_dist.cluster.sums.in_order import OrderedSum
from sparkml_dist.cluster.sums.layout import Arrays, Summands
from sparkml_dist.cluster.sums.packed_nodes import add_packed, packed_sum
from sparkml_dist.cluster.sums.rank_star import RankStar, joined_ranks
from sparkml_dist.dataset.held_blocks import HeldBlocks
from sparkml_dist.dataset.partitioned import PartitionedDataset

__all__ = ["GangWork", "run_rank", "unpacked"]

_MOST_BYTES = 1 << 34  # of a frame
_ARRAY = "__array__"


@dataclass(frozen=True)
class GangWork:
    """What the ranks of a gang get.

    Attributes
    ----------
    data : PartitionedDataset
    solve : callable
        ``solve(sums, problem)`` returns a dict of JSON values and arrays.
    problem : Any
    token : str
        Secret of the connections between the ranks.
    memory : int
        Bytes of blocks that a rank may keep.
    dtype : str
        Type of a dense matrix.
    """

    data: PartitionedDataset
    solve: Callable[..., Mapping[str, Any]]
    problem: Any
    token: str
    memory: int
    dtype: str


def run_rank(context: RankContext, work: GangWork) -> dict[str, Any] | None:
    """Run the solver in rank 0, and form sums for it in the others.

    Only rank 0 computes with the sums, so that ranks on other kinds of processors cannot come to
    other decisions.

    Parameters
    ----------
    context : RankContext
    work : GangWork

    Returns
    -------
    dict or None
        Of rank 0 the solver's result, packed for JSON, and the seconds of each pass.
    """
    shards = len(work.data.shards)
    first, last = (shards * r // context.size for r in (context.rank, context.rank + 1))
    blocks = HeldBlocks(
        work.data,
        range(first, last),
        memory=work.memory,
        dtype=work.dtype,
        on_block=lambda: context.advance("forming sums"),
    )
    star = joined_ranks(context, work.token)
    try:
        if context.rank:
            _serve(star, blocks)
            return None
        sums = _GangSums(blocks, star, context)
        found = work.solve(sums, work.problem)
        sums.end()
        return {"value": packed(dict(found)), "seconds": sums.seconds}
    finally:
        star.close()


class _GangSums:
    """Sums in rank 0; see `Sums`."""

    def __init__(self, blocks: HeldBlocks, star: RankStar, context: RankContext) -> None:
        self.data = blocks.data
        self.passes = 0
        self.seconds: list[float] = []
        self._blocks = blocks
        self._star = star
        self._context = context
        self._sent: list[Callable[..., Summands]] = []

    def add(self, function: Callable[..., Summands], parameters: Sequence[Any] = ()) -> Arrays:
        return self._add(function, tuple(parameters), by_shard=False)

    def add_shards(
        self, function: Callable[..., Summands], parameters: Sequence[Any] = ()
    ) -> Arrays:
        return self._add(function, tuple(parameters), by_shard=True)

    def end(self) -> None:
        """Let the other ranks end."""
        for end in self._star.ends:
            end.send([])

    def _add(
        self, function: Callable[..., Summands], parameters: tuple[Any, ...], *, by_shard: bool
    ) -> Arrays:
        self.passes += 1
        begun = time.perf_counter()
        self._context.advance("sending parameters")
        if self._star.ends:
            request = self._request(function, parameters, by_shard)
            for end in self._star.ends:
                end.send([request])
        found = self._blocks.ordered(function, parameters, by_shard=by_shard)
        for end in self._star.ends:  # in the order of the shards
            self._context.advance("waiting for sums")
            add_packed(found, end.receive(_MOST_BYTES))
        self._context.advance("solving")
        self.seconds.append(time.perf_counter() - begun)
        if found.layout is None:
            return {}
        return found.layout.unpack(*found.tree.total())

    def _request(
        self, function: Callable[..., Summands], parameters: tuple[Any, ...], by_shard: bool
    ) -> bytes:
        """Return the frame of a request; a function travels with its first one."""
        from pyspark import cloudpickle

        known = next((i for i, f in enumerate(self._sent) if f is function), None)
        if known is None:
            known = len(self._sent)
            self._sent.append(function)
            return bytes(cloudpickle.dumps((known, by_shard, parameters, function)))
        return bytes(cloudpickle.dumps((known, by_shard, parameters, None)))


def _serve(star: RankStar, blocks: HeldBlocks) -> None:
    """Form sums until rank 0 ends."""
    (end,) = star.ends
    functions: dict[int, Callable[..., Summands]] = {}
    while request := end.receive(_MOST_BYTES):
        # From rank 0, which has proved that it knows the token that Spark brought to both.
        number, by_shard, parameters, function = pickle.loads(request)  # noqa: S301
        if function is not None:
            functions[number] = function
        found: OrderedSum = blocks.ordered(functions[number], parameters, by_shard=by_shard)
        end.send(packed_sum(found))


def packed(value: Any) -> Any:
    """Return a value with its arrays as JSON objects, exact to the bit."""
    if isinstance(value, np.ndarray):
        little = np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<"), copy=False)
        text = base64.b64encode(little.tobytes()).decode()
        return {_ARRAY: [little.dtype.str, list(value.shape), text]}
    if isinstance(value, Mapping):
        return {name: packed(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [packed(item) for item in value]
    return value


def unpacked(value: Any) -> Any:
    """Return what `packed` was given; tuples come back as lists."""
    if isinstance(value, dict):
        if set(value) == {_ARRAY}:
            kind, shape, text = value[_ARRAY]
            found: npt.NDArray[Any] = np.frombuffer(base64.b64decode(text), kind).reshape(shape)
            return found.astype(found.dtype.newbyteorder("="))
        return {name: unpacked(item) for name, item in value.items()}
    if isinstance(value, list):
        return [unpacked(item) for item in value]
    return value
