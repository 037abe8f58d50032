"""Rules that a more general rule makes redundant."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparkml_dist.mining.rules.generation import RuleBatch
from sparkml_dist.mining.rules.set_index import Hashes, SetIndex

__all__ = ["improves"]

_CHUNK = 1 << 18


def improves(
    rules: RuleBatch, items: Hashes, index: SetIndex, n: int, least: float
) -> npt.NDArray[np.bool_]:
    """Return which rules are more confident than every more general one.

    A rule X → Y is redundant if a rule X' → Y with X' ⊂ X (the empty set included) has the same or
    a higher confidence; its *improvement* is the least difference of the confidences (Bayardo,
    Agrawal, Gunopulos 2000).

    Parameters
    ----------
    rules : RuleBatch
    items : ndarray of uint64, shape (m, k)
        Hashes of the items of each itemset.
    index : SetIndex
    n : int
        Baskets.
    least : float
        The improvement that a rule must exceed.

    Returns
    -------
    ndarray of bool, shape (r,)
    """
    a, s = rules.antecedent, rules.both
    kept = _exceeds(s, a, rules.consequent, np.full(len(rules), n), least)
    k = items.shape[1]
    size = k - np.bitwise_count(rules.mask).astype(np.int64)
    in_x = ~rules.in_consequent(k)
    # Antecedents without one item decide most rules; smaller ones are tried for the others.
    for dropped in range(1, int(size.max(initial=1))):
        at = np.flatnonzero(kept & (size > dropped))
        for start in range(0, len(at), max(1, _CHUNK >> min(k, 18))):
            piece = at[start : start + max(1, _CHUNK >> min(k, 18))]
            for width in np.unique(size[piece]):
                of_width = piece[size[piece] == width]
                members = items[rules.row[of_width]][in_x[of_width]].reshape(-1, width)
                gone = _xor_of_choices(members, dropped)
                x = rules.antecedent_hash[of_width][:, None] ^ gone
                wider = index.counts(x)
                with_y = index.counts(x ^ rules.consequent_hash[of_width][:, None])
                better = _exceeds(s[of_width][:, None], a[of_width][:, None], with_y, wider, least)
                kept[of_width] &= better.all(axis=1)
    return kept


def _exceeds(
    s: npt.NDArray, a: npt.NDArray, s2: npt.NDArray, a2: npt.NDArray, least: float
) -> npt.NDArray[np.bool_]:
    """Return where s / a exceeds s2 / a2 by more than `least`; exact for `least` 0."""
    if least == 0:
        return np.asarray(s * a2 > s2 * a)
    return np.asarray(s / a - s2 / a2 > least)


def _xor_of_choices(members: Hashes, size: int) -> Hashes:
    """Return the hash of every choice of `size` members, shape (r, C(width, size))."""
    from itertools import combinations

    chosen = np.array(list(combinations(range(members.shape[1]), size)))
    return np.asarray(np.bitwise_xor.reduce(members[:, chosen], axis=2))
