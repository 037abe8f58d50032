"""Members voting on blocks: loaded once per worker, padded to the global class list."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from sparkml_dist.dataset.schema import Matrix
from sparkml_dist.errors import DataError, StorageError
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.learners import load_learner
from sparkml_dist.scoring import Predict

__all__ = ["Combiner", "StoredMember", "Voting"]

Voting = Literal["soft", "hard"]


@dataclass(frozen=True)
class StoredMember:
    """A member at rest, and how to feed it.

    Attributes
    ----------
    file : str
        Name in the model's folder.
    sha256 : str
    weight : float
        Its say in the vote.
    features : tuple of int or None
        Features that it was fitted on; None for all.
    dtype : str
        Type in which it takes dense features without copying.
    allows_missing, allows_sparse : bool
    """

    file: str
    sha256: str
    weight: float
    features: tuple[int, ...] | None
    dtype: str
    allows_missing: bool
    allows_sparse: bool

    @classmethod
    def from_record(cls, record: dict[str, Any], weight: float = 1.0) -> StoredMember:
        """Return the member that a fit recorded."""
        features = record["features"]
        return cls(
            record["file"],
            record["sha256"],
            weight,
            None if features is None else tuple(features),
            record["dtype"],
            record["allows_missing"],
            record["allows_sparse"],
        )


@dataclass(frozen=True)
class Combiner:
    """Combines members by weighted soft or hard voting; picklable, loaded in workers.

    Attributes
    ----------
    folder : Folder
        The model's folder.
    members : tuple of StoredMember
    n_classes : int
    voting : {"soft", "hard"}
        Mean of probabilities, or share of votes.
    feature_names : tuple of str
        For messages.
    trusted : tuple of str
        Types that member files may contain beside the allow-list.
    """

    folder: Folder
    members: tuple[StoredMember, ...]
    n_classes: int
    voting: Voting
    feature_names: tuple[str, ...]
    trusted: tuple[str, ...] = ()

    @property
    def cache_key(self) -> str:
        """Changes with every member, weight and way of voting."""
        parts = [self.folder.location, self.voting, *map(repr, self.members)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @property
    def raw_scale(self) -> float:
        """``rawPrediction`` is the weighted number of votes."""
        return float(sum(m.weight for m in self.members))

    def load(self) -> Predict:
        """Load the members and return a function from (n, d) to (n, n_classes)."""
        learners = self._learners()

        def predict(X: Matrix) -> npt.NDArray[np.float64]:
            votes = np.zeros((X.shape[0], self.n_classes))
            for vote in self._votes(learners, X):
                votes += vote
            return votes / self.raw_scale

        return predict

    def load_staged(self) -> Any:
        """Load the members and return a function that yields one array after each member.

        The m-th is what the first m members say together, shape (n, n_classes).
        """
        learners = self._learners()

        def staged(X: Matrix) -> Iterator[npt.NDArray[np.float64]]:
            votes = np.zeros((X.shape[0], self.n_classes))
            for vote in self._votes(learners, X):
                votes += vote
                yield votes

        return staged

    def _learners(self) -> list[Any]:
        learners = []
        for member in self.members:
            content = self.folder.read_bytes(member.file)
            where = self.folder.uri(member.file)
            if hashlib.sha256(content).hexdigest() != member.sha256:
                raise StorageError(
                    "file_altered",
                    f"The model's file {where!r} does not match its manifest.",
                    "It was cut or altered; restore it, or fit the model anew.",
                )
            learners.append(load_learner(content, where, trusted=self.trusted))
        return learners

    def _votes(self, learners: list[Any], X: Matrix) -> Iterator[npt.NDArray[np.float64]]:
        """Yield each member's weighted vote on a block, shape (n, n_classes)."""
        from sklearn import config_context

        forms = _Forms(X)
        if forms.missing and not all(m.allows_missing for m in self.members):
            names = [self.feature_names[i] for i in forms.missing[:5]]
            raise DataError(
                "missing_values",
                f"The data to score has missing values in {', '.join(names)}, which the "
                "ensemble's learners do not take.",
                "Fill them in, or fit a pipeline that imputes.",
            )
        # Missing values have been looked for once, above, and not again for each member.
        with config_context(assume_finite=True):
            for member, learner in zip(self.members, learners, strict=True):
                yield self._vote(member, learner, forms.for_member(member))

    def _vote(self, member: StoredMember, learner: Any, X: Any) -> npt.NDArray[np.float64]:
        out = np.zeros((X.shape[0], self.n_classes))
        if self.voting == "hard":
            codes = np.asarray(learner.predict(X)).astype(np.int64)
            out[np.arange(len(codes)), codes] = member.weight
            return out
        proba = learner.predict_proba(X)
        codes = np.asarray(learner.classes_).astype(np.int64)
        # A member that saw only some of the classes gives the others no probability.
        out[:, codes] = proba if member.weight == 1.0 else proba * member.weight
        return out


class _Forms:
    """The forms of one block that members ask for, each made once."""

    def __init__(self, X: Matrix) -> None:
        self._X: Any = X
        self._made: dict[Any, Any] = {}

    @property
    def missing(self) -> list[int]:
        """Features with NaN."""
        values = self._X.data if sp.issparse(self._X) else self._X
        with np.errstate(over="ignore", invalid="ignore"):
            if not np.isnan(values.sum(dtype=np.float64)):
                return []
        if sp.issparse(self._X):
            return sorted(set(self._X.indices[np.isnan(values)].tolist()))
        found: list[int] = np.flatnonzero(np.isnan(values).any(axis=0)).tolist()
        return found

    def for_member(self, member: StoredMember) -> Any:
        sparse = sp.issparse(self._X) and member.allows_sparse
        whole = self._form("csr" if sparse else member.dtype)
        return whole if member.features is None else whole[:, list(member.features)]

    def _form(self, kind: str) -> Any:
        if kind not in self._made:
            X = self._X
            if kind != "csr":
                X = X.toarray() if sp.issparse(X) else X
                X = X.astype(kind, copy=False)
            self._made[kind] = X
        return self._made[kind]
