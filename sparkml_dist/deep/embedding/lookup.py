"""The exchange of rows and gradients between the ranks that share a table."""

from __future__ import annotations

from collections import Counter
from typing import Any
from weakref import WeakKeyDictionary

from sparkml_dist.deep.backend.without_horovod import tf
from sparkml_dist.deep.embedding.place import Place, horovod

__all__ = ["sharded_lookup"]

# How often each table was asked in each graph so far.
_calls: WeakKeyDictionary[Any, Counter[str]] = WeakKeyDictionary()


def sharded_lookup(table: Any, ids: Any, place: Place, name: str) -> Any:
    """Return rows of a table of which this rank holds every ``owners``-th.

    Three all-to-alls, whatever the ids, also when there are none: ids to their owners, rows back,
    and, in the backward pass, gradients to the owners.

    Parameters
    ----------
    table : tensor or variable of shape (own rows, columns)
        Row ``i`` of the whole table is row ``i // owners`` of owner ``i % owners``.
    ids : tensor of int64, shape (n,)
        Inside the whole table.
    place : Place
        This rank among the owners.
    name : str
        Tells the table from others, alike on all ranks.

    Returns
    -------
    tensor of shape (n, columns)
        Its gradient for `table` is the mean over all ranks: each row's gradients summed over
        ranks, divided by their number.
    """
    owners = place.owners
    name = _call_name(name)
    # An id travels once for all its places in the batch.
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

    Ranks find each other's part of an exchange by its name. Those that TensorFlow gives depend on
    what else was built in a process, so that they would wait for each other for ever.
    """
    graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
    if graph is None:  # one call after the other
        return name
    while isinstance(getattr(graph, "outer_graph", None), type(graph)):
        graph = graph.outer_graph
    calls = _calls.setdefault(graph, Counter())
    calls[name] += 1
    return f"{name}_call{calls[name]}"


def _returned(rows: Any, asked: Any, counts: Any, place: Place, name: str) -> Any:
    """Send the rows that others asked for, and return those asked for here."""

    @tf.custom_gradient
    def exchange(rows: Any) -> Any:
        found, _ = _alltoall(rows, asked, place, f"{name}_rows")

        def gradient(upstream: Any) -> Any:
            # Made dense, the gradients of an id's places in the batch are added up before they
            # travel.
            dense = tf.convert_to_tensor(upstream)
            own, _ = _alltoall(dense, counts, place, f"{name}_gradients")
            return own / tf.cast(place.ranks, own.dtype)

        return found, gradient

    return exchange(rows)


def _averaged_over_copies(table: Any, place: Place, name: str) -> Any:
    """Return the table; its gradient is added up over the copies that groups of ranks hold."""
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
