"""Bagging over silos: members are fitted where the rows are, and vote."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sparkml_dist.errors import SparkMLDistError, StorageError, TrainingError
from sparkml_dist.federated.ensembles.member_work import known_learner, member_name
from sparkml_dist.learners.fitting import member_traits, store_member
from sparkml_dist.learners.known_learner import KnownLearner
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.learners import dump_learner, load_learner

if TYPE_CHECKING:
    from sparkml_dist.federated.federation import Federation

__all__ = ["SiloMembers", "check_member", "federated_members"]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SiloMembers:
    """Members of all silos, stored in a model's folder.

    Attributes
    ----------
    records : list of dict
        Of the members, as `store_member` returned them, with ``silo`` and ``rows``.
    weights : list of float
        Each member's weight in the vote.
    refused : dict of str to str
        Silos without a member, and why.
    """

    records: list[dict[str, Any]]
    weights: list[float]
    refused: dict[str, str]


def federated_members(
    federation: Federation,
    learner: Any,
    folder: Folder,
    *,
    members: int = 1,
    weighting: str = "rows",
    bootstrap: bool = False,
    max_samples: float = 1.0,
    member_bytes: int = 64 << 20,
    minimum: int = 1,
) -> SiloMembers:
    """Have each silo fit copies of a learner to its own rows, and store what they send.

    A member is stored once its bytes are checked: only types of the allow-list, the agreed number
    of features, known classes. A silo that sends something else is left out, and named.

    Parameters
    ----------
    federation : Federation
    learner : scikit-learn estimator
        Unfitted.
    folder : Folder
        The model's.
    members : int, default=1
        Of each silo.
    weighting : {"rows", "equal"}, default="rows"
        Whether a silo's members have the weight of its rows in the vote together, or the same as
        those of another silo.
    bootstrap : bool, default=False
        Whether rows of a member are drawn with replacement.
    max_samples : float, default=1.0
        Share of a silo's rows, or of the shard's in a silo of several shards, in a bag.
    member_bytes : int, default=64 MiB
        Most bytes of a member.
    minimum : int, default=1
        Silos that must have a member.

    Raises
    ------
    TrainingError
        ``too_few_silos``.
    """
    content = np.frombuffer(dump_learner(learner), np.uint8)
    known = known_learner(content, federation.schema)
    classes = federation.schema.n_classes
    facts = {
        "members": members,
        "bootstrap": bootstrap,
        "max_samples": max_samples,
        "member_bytes": member_bytes,
    }
    replies = federation.ask("fit_members", facts, {"learner": content}, minimum=minimum)
    refused = {n: f"[{f.code}] {f.message}" for n, f in replies.failed.items()}
    records: list[dict[str, Any]] = []
    weights: list[float] = []
    for silo, answer in replies:
        rows = answer.facts.get("rows")
        told = answer.facts.get("seconds")
        seconds = float(told) / members if isinstance(told, int | float) else 0.0
        names = [n for n in map(member_name, range(members)) if n in answer.arrays]
        try:
            if not isinstance(rows, int) or rows < 1 or not names:
                raise StorageError("damaged_member", f"The silo {silo!r} sends no member.")
            fitted = [
                check_member(
                    answer.arrays[n].tobytes(), f"{n} of the silo {silo!r}", known, classes
                )
                for n in names
            ]
        except SparkMLDistError as error:
            refused[silo] = str(error)
            _logger.warning("the silo %s has no member in the vote: %s", silo, error)
            continue
        for one in fitted:
            number = len(records)
            record = {
                "member": number,
                "learner": known.traits.name,
                "silo": silo,
                "rows": rows,
                "seconds": seconds,
                "task_seconds": seconds,
                **member_traits(known.traits, None),
            }
            records.append(store_member(folder, f"member-{number:05d}", one, record))
            weights.append((rows if weighting == "rows" else 1.0) / len(names))
    if len({r["silo"] for r in records}) < max(minimum, 1):
        raise TrainingError(
            "too_few_silos",
            f"{len({r['silo'] for r in records})} silos have sent members, and {minimum} are "
            f"needed. {'; '.join(f'{n}: {why}' for n, why in refused.items())[:600]}",
            "Look into the logs of the silos that failed, or ask for fewer.",
        )
    total = sum(weights)
    return SiloMembers(records, [w / total for w in weights], refused)


def check_member(content: bytes, where: str, known: KnownLearner, n_classes: int) -> Any:
    """Return the learner in a silo's bytes; raise unless it can be a member.

    Parameters
    ----------
    content : bytes
    where : str
        For messages.
    known : KnownLearner
        What the silo was asked to fit.
    n_classes : int
        0 for a regression.

    Raises
    ------
    StorageError
        ``untrusted_type``, or ``damaged_member`` also for other features or classes.
    """
    learner = load_learner(content, where)
    wanted = known.schema.n_features
    probe: Any = np.zeros((1, wanted), known.traits.dtype)
    probabilistic, method = known.traits.probabilistic, "predict"
    if not known.traits.is_regressor and probabilistic:
        method = "predict_proba"
    try:
        classes = getattr(learner, "classes_", None)
        found = np.asarray(getattr(learner, method)(probe), np.float64)
        codes = np.asarray([] if classes is None else classes)
        fits: Any = np.isfinite(found).all() and len(found) == 1
        if not known.traits.is_regressor:
            fits = fits and len(codes) and np.issubdtype(codes.dtype, np.integer)
            fits = (
                fits and codes.min() >= 0 and codes.max() < n_classes and (np.diff(codes) > 0).all()
            )
            fits = fits and (method == "predict" or found.shape == (1, len(codes)))
        if not fits or getattr(learner, "n_features_in_", wanted) != wanted:
            raise ValueError("it has other classes or features than the federation")
    except Exception as error:
        raise StorageError(
            "damaged_member",
            f"{where} cannot be in the vote: {type(error).__name__}: {error}.",
            "The silo sends something else than was asked for.",
        ) from error
    return learner
