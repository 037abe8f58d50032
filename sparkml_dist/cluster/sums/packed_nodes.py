"""Partial sums as bytes: what a rank sends to the one that adds up."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence

import numpy as np

from sparkml_dist.cluster.sums.in_order import OrderedSum, sums_differ
from sparkml_dist.cluster.sums.layout import Layout
from sparkml_dist.cluster.sums.summation_tree import Node

__all__ = ["add_packed", "packed_sum"]

_HEAD = struct.Struct("!Q")


def packed_sum(found: OrderedSum) -> Sequence[bytes | memoryview]:
    """Return the nodes of a sum as parts of a frame; their numbers are not copied."""
    layout = "" if found.layout is None else found.layout.to_json()
    head = json.dumps([layout, [[n.start, n.size] for n in found.tree.nodes]]).encode()
    parts: list[bytes | memoryview] = [_HEAD.pack(len(head)), head]
    for node in found.tree.nodes:
        for values in node.values:
            little = values.astype(values.dtype.newbyteorder("<"), copy=False)
            parts.append(little.data.cast("B"))
    return parts


def add_packed(found: OrderedSum, content: bytearray) -> None:
    """Add the nodes of another rank, whose positions are beyond all that was added before.

    Raises
    ------
    ConfigurationError
        ``sums_differ``.
    DataError
        ``sum_overflow``.
    """
    (length,) = _HEAD.unpack_from(content)
    text, places = json.loads(content[_HEAD.size : _HEAD.size + length])
    if not places:
        return
    layout = Layout.from_json(text)
    found.layout = found.layout or layout
    if layout != found.layout:
        raise sums_differ(found.layout, layout)
    at = _HEAD.size + length
    for start, size in places:
        values = []
        for count, kind in zip(layout.lengths(), ("<f8", "<i8"), strict=True):
            part = np.frombuffer(content, kind, count, at)
            values.append(part.astype(part.dtype.newbyteorder("=")))  # a copy, to add to
            at += part.nbytes
        found.tree.add(Node(start, size, tuple(values)))
