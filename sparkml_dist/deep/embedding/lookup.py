"""Exchanges rows and gradients between the ranks that share a table."""

from __future__ import annotations

from collections import Counter
from typing import Any
from weakref import WeakKeyDictionary

from sparkml_dist.deep.backend.without_horovod import tf
from sparkml_dist.deep.embedding.place import Place, horovod

__all__ = ["sharded_lookup"]

# Number of lookups of each table in each graph so far.
_calls: WeakKeyDictionary[Any, Counter[str]] = WeakKeyDictionary()


def sharded_lookup(table: Any, ids: Any, place: Place, name: str) -> Any:
    """Return rows of a table that is distributed over ranks.

    Three all-to-alls, for any ids, also for none: ids to their owners, rows back, and, in the
    backward pass, gradients to the owners.

    Parameters
    ----------
    table : tensor or variable of shape (own rows, columns)
        Row ``i`` of the whole table is row ``i // owners`` of owner ``i % owners``.
    ids : tensor of int64, shape (n,)
        Valid row numbers of the whole table.
    place : Place
        This rank's place among the owners.
    name : str
        Name of the table, the same on all ranks.

    Returns
    -------
    tensor of shape (n, columns)
        Its gradient for `table` is the mean over all ranks: the sum of each row's gradients,
        divided by the number of ranks.
    """
    owners = place.owners
    name = _call_name(name)
    # Each distinct id is sent once.
    distinct, places = tf.unique(ids)
    owner = tf.cast(distinct % owners, tf.int32)
    order = tf.argsort(owner, stable=True)
    counts = tf.math.bincount(owner, minlength=owners, maxlength=owners, dtype=tf.int32)
    rows = tf.gather(distinct // owners, order)
    wanted, asked = _alltoall(rows, counts, place, f"{name}_ids")
    given = tf.gather(_averaged_over_copies(table, place, name), wanted)
    found = _returned(given, asked, counts, place, name)
    back = tf.math.invert_permutation(order)
    return tf.gather(found, tf.gather(back, places))


def _call_name(name: str) -> str:
    """Return a name for a call of a layer, the same on all ranks.

    Horovod matches the parts of a collective operation by name. TensorFlow's own names depend on
    what else a process has built, so that ranks would wait for each other forever.
    """
    graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
    if graph is None:  # eager calls follow one another
        return name
    while isinstance(getattr(graph, "outer_graph", None), type(graph)):
        graph = graph.outer_graph
    calls = _calls.setdefault(graph, Counter())
    calls[name] += 1
    return f"{name}_call{calls[name]}"


def _returned(rows: Any, asked: Any, counts: Any, place: Place, name: str) -> Any:
    """Send the rows that others requested, and return the rows requested here."""

    @tf.custom_gradient
    def exchange(rows: Any) -> Any:
        found, _ = _alltoall(rows, asked, place, f"{name}_rows")

        def gradient(upstream: Any) -> Any:
            # Converting to a dense tensor adds up the gradients of an id's occurrences in the
            # batch before they are sent.
            dense = tf.convert_to_tensor(upstream)
            own, _ = _alltoall(dense, counts, place, f"{name}_gradients")
            return own / tf.cast(place.ranks, own.dtype)

        return found, gradient

    return exchange(rows)


def _averaged_over_copies(table: Any, place: Place, name: str) -> Any:
    """Return the table; its gradient is summed over the copies of the groups."""
    if place.peers is None:
        return table
    hvd = horovod()

    @tf.custom_gradient
    def shared(table: Any) -> Any:
        def gradient(upstream: Any) -> Any:
            dense = tf.convert_to_tensor(upstream)
            return hvd.allreduce(
                dense,
                op=hvd.Sum,
                process_set=place.peers,
                name=f"{name}_copies",
                ignore_name_scope=True,
            )

        return tf.identity(table), gradient

    return shared(tf.convert_to_tensor(table))


def _alltoall(tensor: Any, splits: Any, place: Place, name: str) -> Any:
    if place.owners == 1:
        return tensor, splits
    group = {} if place.group is None else {"process_set": place.group}
    return horovod().alltoall(tensor, splits=splits, name=name, ignore_name_scope=True, **group)
