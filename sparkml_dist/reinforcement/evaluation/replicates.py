"""Sums over the episodes of a log, and of bootstrap replicates of it, without rounding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.sums.exact import FULL_RANGE, ExactRange
from sparkml_dist.cluster.sums.layout import Arrays, Summands
from sparkml_dist.dataset.hashing import hash_long, salt, xxhash64
from sparkml_dist.reinforcement.evaluation.estimators import SumsOfEpisodes, influences
from sparkml_dist.reinforcement.evaluation.log_sums import LogSums
from sparkml_dist.reinforcement.evaluation.weighted_episodes import (
    EPISODE_SUMS,
    STEP_SUMS,
    Setting,
    weighted_episodes,
)
from sparkml_dist.reinforcement.flat_rows import flat_rows
from sparkml_dist.reinforcement.transition_block import TransitionBlock

__all__ = ["OVERLAP", "Moments", "Totals", "poisson_replicates", "replicates", "totals"]

Floats = npt.NDArray[np.float64]
#: Sums of squares of the weights, and of the rows' ratios and lost shares, for diagnostics.
OVERLAP = ("square", "rows", "ratio", "square_ratio", "lost", "clipped")

_WINDOW = ExactRange.around(0, 160)
# Exponents of numbers, in steps of 32.
_BINS, _BIN, _LOWEST = 70, 32, -1120
_CHANCES = 1 << 32
_MOST_COUNT = 31


class Totals:
    """Sums over all episodes.

    Attributes
    ----------
    sums : SumsOfEpisodes
    overlap : dict of float
        By the names of `OVERLAP`.
    powers : dict of ndarray
        Exponents of the largest number in each sum, for those of replicates.
    """

    def __init__(self, found: Arrays) -> None:
        episodes, steps = FULL_RANGE.rounded(found["episodes"]), FULL_RANGE.rounded(found["steps"])
        self.sums = SumsOfEpisodes(episodes, steps)
        self.overlap = dict(
            zip(OVERLAP, FULL_RANGE.rounded(found["overlap"]).tolist(), strict=True)
        )
        self.powers = {
            name: np.where(
                seen.any(axis=-1), (_BINS - seen[..., ::-1].argmax(axis=-1)) * _BIN + _LOWEST, 0
            )
            for name in ("episodes", "steps")
            for seen in [found[f"{name}_powers"] > 0]
        }


def totals(log: LogSums, setting: Setting, *, by_step: bool) -> Totals:
    """Add up the episodes of a log in one pass."""
    return Totals(log.add(_totals, setting, by_step, description="episodes"))


def _totals(blocks: Iterator[TransitionBlock], setting: Setting, by_step: bool) -> Summands:
    length = setting.horizon + 1 if by_step else 0
    wide, kinds = len(EPISODE_SUMS), len(STEP_SUMS)
    found: Arrays = {
        "episodes": np.zeros((wide, FULL_RANGE.limbs), np.int64),
        "steps": np.zeros((length, kinds, FULL_RANGE.limbs), np.int64),
        "overlap": np.zeros((len(OVERLAP), FULL_RANGE.limbs), np.int64),
        "episodes_powers": np.zeros((wide, _BINS), np.int64),
        "steps_powers": np.zeros((length, kinds, _BINS), np.int64),
    }
    for block in blocks:
        for chunk in weighted_episodes(block, setting):
            g = chunk.weight[:, None]
            values = g * chunk.sums
            found["episodes"] += FULL_RANGE.total(values)
            _mark(found["episodes_powers"], values)
            weight = chunk.sums[:, EPISODE_SUMS.index("weight")]
            over = np.stack([weight**2, 1.0 * (weight > setting.clip)], axis=1)
            whole = FULL_RANGE.total(g * over)
            ratio = chunk.ratios
            rows = np.stack([np.ones(len(ratio)), ratio, ratio**2, chunk.lost], axis=1)
            of_rows = FULL_RANGE.total(chunk.row_weight[:, None] * rows)
            found["overlap"] += np.concatenate([whole[:1], of_rows, whole[1:]])
            if by_step:
                own = flat_rows(g[:, :, None] * chunk.steps)
                longest = chunk.steps.shape[1]
                added = FULL_RANGE.total(own).reshape(longest, kinds, -1)
                found["steps"][:longest] += added
                found["steps"][longest:, 0] += added[-1, 0]
                _mark(found["steps_powers"][:longest].reshape(longest * kinds, -1), own)
                _mark(found["steps_powers"][longest:, 0], g * chunk.steps[:, -1, :1])
    return found


def _mark(powers: npt.NDArray[np.int64], values: Floats) -> None:
    """Count the exponent of the largest number of each column."""
    largest = np.abs(values).max(axis=0, initial=0.0)
    exponent = (np.frexp(largest)[1] - _LOWEST - 1) // _BIN
    powers[np.arange(len(powers)), exponent] += largest > 0


class Moments:
    """Sums of powers of the influences of episodes, and bootstrap replicates of the sums.

    Attributes
    ----------
    influence : ndarray, shape (n_methods, 3)
        Sums of the first three powers.
    replicates : SumsOfEpisodes
        Of arrays with one more axis in front.
    """

    def __init__(self, found: Arrays, total: Totals) -> None:
        self.influence = FULL_RANGE.rounded(found["influence"])
        self.replicates = SumsOfEpisodes(
            *(
                np.ldexp(_WINDOW.rounded(found[name]), total.powers[name])
                for name in ("episodes", "steps")
            )
        )


def replicates(
    log: LogSums,
    setting: Setting,
    total: Totals,
    methods: tuple[str, ...],
    *,
    number: int,
    seed: int,
    by_step: bool,
) -> Moments:
    """Draw bootstrap replicates of the sums in one pass.

    How often a replicate holds an episode is Poisson(1) distributed, a function of the episode, the
    replicate and the seed: the same for every policy and however the log is cut.
    """
    found = log.add(
        _replicates, setting, total, methods, number, seed, by_step, description="replicates"
    )
    return Moments(found, total)


def _replicates(
    blocks: Iterator[TransitionBlock],
    setting: Setting,
    total: Totals,
    methods: tuple[str, ...],
    number: int,
    seed: int,
    by_step: bool,
) -> Summands:
    length = setting.horizon + 1 if by_step else 0
    wide, kinds = len(EPISODE_SUMS), len(STEP_SUMS)
    found: Arrays = {
        "episodes": np.zeros((number, wide, _WINDOW.limbs), np.int64),
        "steps": np.zeros((number, length, kinds, _WINDOW.limbs), np.int64),
        "influence": np.zeros((len(methods), 3, FULL_RANGE.limbs), np.int64),
    }
    for block in blocks:
        for chunk in weighted_episodes(block, setting):
            g = chunk.weight[:, None]
            own = influences(chunk, total.sums, methods)
            psi = np.stack([np.nan_to_num(own[m]) for m in methods], axis=1)
            psi = np.clip(psi, -1e100, 1e100)  # whose cubes are finite
            powers = flat_rows(np.stack([g * psi, g * psi**2, g * psi**3], axis=2))
            found["influence"] += FULL_RANGE.total(powers).reshape(len(methods), 3, -1)
            if not number:
                continue
            counts = poisson_replicates(chunk.key, number, seed)
            scaled = np.ldexp(g * chunk.sums, -total.powers["episodes"])
            found["episodes"] += _WINDOW.products(counts, scaled)
            if by_step:
                longest = chunk.steps.shape[1]
                steps = np.ldexp(g[:, :, None] * chunk.steps, -total.powers["steps"][:longest])
                added = _WINDOW.products(counts, flat_rows(steps))
                found["steps"][:, :longest] += added.reshape(number, longest, kinds, -1)
                _add_later(found["steps"], g * chunk.steps[:, -1, :1], counts, total, longest)
    return found


def _add_later(
    steps: npt.NDArray[np.int64], weight: Floats, counts: Any, total: Totals, length: int
) -> None:
    """Add the weights of episodes at steps after the longest of them."""
    powers = total.powers["steps"][length:, 0]
    for power in np.unique(powers):
        added = _WINDOW.products(counts, np.ldexp(weight, -power))
        steps[:, length:, 0][:, powers == power] += added


def poisson_replicates(key: npt.NDArray[np.int64], number: int, seed: int) -> npt.NDArray[np.uint8]:
    """Return how often each replicate holds each episode, shape (n, number)."""
    base = xxhash64(key, seed, salt("bootstrap replicate"))
    pairs = np.arange(-(-number // 2))
    bits = hash_long(
        np.broadcast_to(pairs, (len(key), len(pairs))).ravel(), np.repeat(base, len(pairs))
    )
    halves = bits.reshape(len(key), len(pairs)).view(np.uint32)[:, :number]
    found = np.zeros(halves.shape, np.uint8)
    for limit in _limits():
        found += halves >= np.uint32(limit)
    return found


def _limits() -> list[int]:
    """Return the draws of 32 bits from which on counts are at least 1, 2, and so on."""
    found, chance, total = [], np.exp(-1.0), 0.0
    for count in range(1, _MOST_COUNT):
        total += chance
        chance /= count
        limit = round(total * _CHANCES)
        if limit >= _CHANCES:
            break
        found.append(limit)
    return found
