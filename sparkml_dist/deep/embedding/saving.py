"""Saves models with tables distributed over ranks, one piece of a table at a time."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from sparkml_dist.deep.backend.without_horovod import tf
from sparkml_dist.deep.embedding.layer import PLACEHOLDER, ShardedEmbedding
from sparkml_dist.deep.embedding.marks import Shard, mark_slots, shard_of
from sparkml_dist.deep.embedding.place import horovod

__all__ = ["gathered_rows", "save_model"]

_PIECE_BYTES = 32 << 20
_WEIGHTS = "model.weights.h5"


def gathered_rows(
    variable: Any, piece_bytes: int = _PIECE_BYTES
) -> Iterator[tuple[int, npt.NDArray[Any] | None]]:
    """Yield a table that is distributed over ranks in pieces, in the order of its rows.

    All ranks must iterate over all pieces at the same time.

    Parameters
    ----------
    variable : keras.Variable
        A marked variable: this rank's rows of the table, or the optimizer's state for them.
    piece_bytes : int
        Approximate size of a piece; rank 0 holds two at a time.

    Yields
    ------
    start : int
        Number of the piece's first row.
    rows : ndarray of shape (n, columns), or None
        The rows on rank 0; None on other ranks.
    """
    shard = shard_of(variable)
    if shard is None:
        raise ValueError(f"{variable.path} is not distributed over ranks.")
    hvd = horovod()
    columns = int(np.prod(variable.shape[1:], dtype=int))
    piece = max(1, piece_bytes // max(1, columns * tf.as_dtype(variable.dtype).size))
    # Rank 0 belongs to the first copy of the table.
    gives = shard.replica == 0
    for start in range(0, shard.rows, piece):
        stop = min(shard.rows, start + piece)
        first, last = (_rows_before(shard, i) for i in (start, stop))
        part = variable.value[first:last] if gives else variable.value[:0]
        counts = tf.constant([len(part) if r == 0 else 0 for r in range(hvd.size())], tf.int32)
        found, received = hvd.alltoall(part, splits=counts)
        if hvd.rank():
            yield start, None
            continue
        rows = np.empty((stop - start, *part.shape[1:]), part.dtype.as_numpy_dtype)
        at = 0
        for owner, count in enumerate(received.numpy()[: shard.owners]):
            rows[(owner - start) % shard.owners :: shard.owners] = found[at : at + count]
            at += count
        yield start, rows


def _rows_before(shard: Shard, row: int) -> int:
    return len(range(shard.index, row, shard.owners))


def save_model(model: Any, path: str) -> None:
    """Write a model to a ``.keras`` file on rank 0; every rank must call this at the same time.

    A distributed table is sent to rank 0 in pieces and written to the file, so that rank 0 never
    holds all of it; it needs the same disk space again beside the file. The optimizer's variables
    for its rows are treated in the same way. The file equals that of one process with the whole
    tables.

    Parameters
    ----------
    model : keras.Model
        Built. Without a distributed table, this is ``model.save(path)`` on rank 0.
    path : str
        A local file on rank 0; ends with ``.keras``.
    """
    tables = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, ShardedEmbedding) and layer.place is not None
    ]
    hvd = horovod()
    first = hvd is None or hvd.rank() == 0
    if not tables:
        if first:
            model.save(path)
        return
    slots = _slots(model)
    if not first:
        for variable in [*(layer.embeddings for layer in tables), *slots.values()]:
            for _ in gathered_rows(variable):
                pass
        return
    with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(path))) as folder:
        _save_frame(model, tables, folder)
        with h5py.File(os.path.join(folder, _WEIGHTS), "r+") as file:
            for number, layer in enumerate(tables):
                group = _placeholder(file, number)
                del group[PLACEHOLDER]
                _fill(group, "0", layer.embeddings)
            for (group_name, key), variable in slots.items():
                _fill(file[group_name], key, variable)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            # Files only: Keras omits an empty folder of assets.
            for file in sorted(f for f in Path(folder).rglob("*") if f.is_file()):
                archive.write(file, file.relative_to(folder))


def _slots(model: Any) -> dict[tuple[str, str], Any]:
    """Return the optimizer's variables that belong to tables, by their place in the file."""
    found: dict[tuple[str, str], Any] = {}
    optimizer, path = getattr(model, "optimizer", None), "optimizer"
    while optimizer is not None:
        mark_slots(optimizer, model.trainable_variables)
        for i, variable in enumerate(optimizer.variables):
            if shard_of(variable) is not None:
                found[f"{path}/vars", str(i)] = variable
        # A loss-scaling optimizer wraps the one that updates.
        optimizer, path = getattr(optimizer, "inner_optimizer", None), f"{path}/inner_optimizer"
    return found


def _save_frame(model: Any, tables: list[Any], folder: str) -> None:
    """Save everything but the tables, with a placeholder for each table."""
    for number, layer in enumerate(tables):
        layer.placeholder = number
    try:
        model.save(folder, zipped=False)
    finally:
        for layer in tables:
            layer.placeholder = None


def _fill(group: Any, key: str, variable: Any) -> None:
    shard = shard_of(variable)
    if shard is None:
        return
    del group[key]
    shape = (shard.rows, *variable.shape[1:])
    table = group.create_dataset(key, shape=shape, dtype=variable.dtype)
    for start, rows in gathered_rows(variable):
        if rows is not None:
            table[start : start + len(rows)] = rows


def _placeholder(file: Any, number: int) -> Any:
    found: list[Any] = []

    def visit(name: str, item: Any) -> None:
        if name.endswith(f"/{PLACEHOLDER}") and int(item[()]) == number:
            found.append(item.parent)

    file.visititems(visit)
    return found[0]
