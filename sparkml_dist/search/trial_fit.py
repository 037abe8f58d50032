"""Fits one member of a trial and lets it predict the held-out rows: runs in a watched child."""

from __future__ import annotations

import pickle
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.subsets import Subset
from sparkml_dist.learners.fitting import fit_learner, member_traits
from sparkml_dist.learners.going_on import GoingOn, going_on
from sparkml_dist.members.bag import Bag, Draw
from sparkml_dist.members.bank import LoadedMembers, MemberBank
from sparkml_dist.members.sampling import Sampling, member_seed
from sparkml_dist.members.stored_member import StoredMember
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.learners import dump_learner, load_learner
from sparkml_dist.search.trial_piece import TrialPiece

__all__ = ["FittedMember", "MemberInput", "fit_member"]


@dataclass(frozen=True)
class MemberInput:
    """What a member is fitted on and scored on.

    Attributes
    ----------
    training : list of Block
        For each held-out part.
    without : list of Subset or None
        Rows of these blocks that are held out.
    scored : list of Block
        The held-out rows of each part.
    n_classes : int
        0 for a regression.
    feature_names : tuple of str
    categories : tuple of int
    seed : int
    cores : int
    trusted : tuple of str
    previous : list of bytes
        For each part the learner that the member goes on from; empty for none.
    """

    training: list[Block]
    without: list[Subset | None]
    scored: list[Block]
    n_classes: int
    feature_names: tuple[str, ...]
    categories: tuple[int, ...]
    seed: int
    cores: int
    trusted: tuple[str, ...]
    previous: list[bytes]


@dataclass(frozen=True)
class FittedMember:
    """What comes of a member, for each held-out part.

    Attributes
    ----------
    votes : list of ndarray
        Outputs on the held-out rows, shape (n, n_classes) or (n,).
    files : list of bytes
        The learners as skops files; empty if they are not kept.
    bytes : int
        Size of the learners.
    seconds, predict_seconds : float
        Of all fits, and of all predictions.
    rows : int
        Rows learnt from, in the first part.
    traits : dict
        Fields of a member's record that determine its input.
    warnings : list of str
    """

    votes: list[npt.NDArray[np.float64]]
    files: list[bytes]
    bytes: int
    seconds: float
    predict_seconds: float
    rows: int
    traits: dict[str, Any]
    warnings: list[str]


def fit_member(piece: TrialPiece, member: int, given: MemberInput) -> FittedMember:
    """Fit a member of a trial once for each held-out part; return its votes and itself."""
    learner, traits = piece.learner, piece.learner.traits
    votes, files, warned = [], [], []
    size, seconds, predicting, rows = 0, 0.0, 0.0, 0
    bank = _bank(given, traits)
    for part, block in enumerate(given.training):
        draw = Draw(member, given.seed, Sampling("pasting", piece.share, 1.0), given.without[part])
        bag = Bag.of(block, draw, traits)
        ready = learner.prepared(member_seed(given.seed, member), given.cores)
        if piece.settings:
            ready.set_params(**piece.settings)
        if piece.grown is not None and given.previous:
            stored = load_learner(given.previous[part], "the trial", trusted=given.trusted)
            if type(stored) is type(ready):  # and not what stands for a single class
                ready = going_on(ready, stored, *piece.grown)
        fitted, spent, caught = fit_learner(ready, bag.X, bag.y, bag.weight, traits)
        fitted = fitted.learner if isinstance(fitted, GoingOn) else fitted
        seconds += spent
        warned += caught
        rows = rows or bag.rows
        start = time.perf_counter()
        votes.append(_votes(LoadedMembers(bank, [fitted]), given.scored[part].X, piece.voting))
        predicting += time.perf_counter() - start
        if piece.stores:
            files.append(dump_learner(fitted, trusted=given.trusted))
            size += len(files[-1])
        else:
            size += _size(fitted)
    return FittedMember(
        votes,
        files,
        size // len(given.training),
        seconds,
        predicting,
        rows,
        member_traits(traits, None),
        list(dict.fromkeys(warned))[:3],
    )


def _bank(given: MemberInput, traits: Any) -> MemberBank:
    """Return a bank that describes how one fitted learner takes its input."""
    record = {"file": "", "sha256": "", **member_traits(traits, None)}
    return MemberBank(
        Folder(""),
        (StoredMember.from_record(record),),
        given.n_classes,
        given.feature_names,
        given.trusted,
        categories=given.categories,
    )


def _votes(members: LoadedMembers, X: Any, voting: str) -> npt.NDArray[np.float64]:
    n, k = X.shape[0], members.bank.n_classes
    votes = np.zeros((n, k) if k else n)
    add: Any = {
        "soft": members.add_probabilities,
        "hard": members.add_votes,
        "mean": members.add_values,
    }[voting]
    for _ in add(X, votes):
        pass
    return votes


def _size(fitted: Any) -> int:
    """Return about how many bytes a learner has, in memory; 0 if that cannot be told."""
    try:
        return len(pickle.dumps(fitted, pickle.HIGHEST_PROTOCOL))
    except Exception:  # noqa: BLE001 - a learner of the user's may not be picklable
        return 0
