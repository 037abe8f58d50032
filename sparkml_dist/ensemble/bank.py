"""The members of a model: at rest, loaded in a worker, asked for their outputs on blocks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from sparkml_dist.dataset.schema import Matrix
from sparkml_dist.ensemble.compiled.direct import direct
from sparkml_dist.errors import DataError, StorageError, TrainingError
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.learners import load_learner

__all__ = ["LoadedMembers", "MemberBank", "StoredMember"]


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
class MemberBank:
    """The members of a model as they travel to workers: small, picklable, loaded there.

    Attributes
    ----------
    folder : Folder
        The model's folder.
    members : tuple of StoredMember
    n_classes : int
        0 for a regression.
    feature_names : tuple of str
        For messages.
    trusted : tuple of str
        Types that member files may contain beside the allow-list.
    """

    folder: Folder
    members: tuple[StoredMember, ...]
    n_classes: int
    feature_names: tuple[str, ...]
    trusted: tuple[str, ...] = ()

    @property
    def cache_key(self) -> str:
        """Changes with every member."""
        parts = [self.folder.location, *map(repr, self.members)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def size(self) -> int:
        """Return the bytes of the members' files."""
        return sum(self.folder.size(member.file) for member in self.members)

    def load(self) -> LoadedMembers:
        """Read the members' files, checked against their hashes.

        Raises
        ------
        StorageError
            ``file_altered``, ``damaged_member`` or ``untrusted_type``.
        """
        return LoadedMembers(self, [self._learner(m) for m in self.members])

    def learner(self, index: int) -> Any:
        """Read one member's file, checked against its hash; raises as `load` does."""
        return self._learner(self.members[index])

    def refuse_missing(self, X: Matrix) -> None:
        """Raise where a block has missing values that a member does not take.

        Raises
        ------
        DataError
            ``missing_values``.
        """
        if all(m.allows_missing for m in self.members):
            return
        if missing := _missing(X):
            names = [self.feature_names[i] for i in missing[:5]]
            raise DataError(
                "missing_values",
                f"The data to score has missing values in {', '.join(names)}, which the "
                "ensemble's learners do not take.",
                "Fill them in, or fit a pipeline that imputes.",
            )

    def _learner(self, member: StoredMember) -> Any:
        content = self.folder.read_bytes(member.file)
        where = self.folder.uri(member.file)
        if hashlib.sha256(content).hexdigest() != member.sha256:
            raise StorageError(
                "file_altered",
                f"The model's file {where!r} does not match its manifest.",
                "It was cut or altered; restore it, or fit the model anew.",
            )
        return load_learner(content, where, trusted=self.trusted)


class LoadedMembers:
    """Learners in memory.

    Parameters
    ----------
    bank : MemberBank
    learners : list of fitted scikit-learn estimators
        In the order of ``bank.members``.
    """

    def __init__(self, bank: MemberBank, learners: list[Any]) -> None:
        self.bank = bank
        self.learners = learners
        self._codes = [_class_codes(x, bank.n_classes) for x in learners]
        self._asked: dict[str, list[Any]] = {}

    def _direct(self, index: int, method: str) -> Any:
        if method not in self._asked:
            self._asked[method] = [direct(x, method) for x in self.learners]
        return self._asked[method][index]

    def outputs(self, X: Matrix, method: str) -> Iterator[Any]:
        """Yield what each member's method says of a block, in the members' order.

        Parameters
        ----------
        X : ndarray or csr_matrix, shape (n, n_features)
        method : {"predict", "predict_proba", "decision_function"}

        Yields
        ------
        ndarray
            As the learner returns it: its own classes only, not padded.

        Raises
        ------
        DataError
            ``missing_values`` where a member does not take them.
        """
        from sklearn import config_context

        members = self.bank.members
        forms = _Forms(X)
        self.bank.refuse_missing(X)
        for i, (member, learner) in enumerate(zip(members, self.learners, strict=True)):
            block = forms.for_member(member)
            ask = None if sp.issparse(block) else self._direct(i, method)
            if ask is not None:
                result = ask(block)
            else:
                # Missing values have been looked for once, above, and not for each member.
                with config_context(assume_finite=True):
                    result = getattr(learner, method)(block)
            yield result

    def add_probabilities(self, X: Matrix, votes: npt.NDArray[np.float64]) -> Iterator[None]:
        """Add each member's weighted probabilities to `votes`, one member at a step.

        A member that saw only some of the classes gives the others no probability.

        Parameters
        ----------
        X : ndarray or csr_matrix, shape (n, n_features)
        votes : ndarray of shape (n, n_classes)
            Changed in place.

        Raises
        ------
        TrainingError
            ``output_width`` where a member gives another number of columns than it has classes.
        """
        found = self.outputs(X, "predict_proba")
        for member, codes, proba in zip(self.bank.members, self._codes, found, strict=True):
            _check_width(member, proba, self.bank.n_classes if codes is None else len(codes))
            weighted = proba if member.weight == 1.0 else proba * member.weight
            if codes is None:
                votes += weighted
            else:
                votes[:, codes] += weighted
            yield

    def add_votes(self, X: Matrix, votes: npt.NDArray[np.float64]) -> Iterator[None]:
        """Add each member's weight to the class that it predicts, one member at a step.

        Parameters
        ----------
        X : ndarray or csr_matrix, shape (n, n_features)
        votes : ndarray of shape (n, n_classes)
            Changed in place.
        """
        rows = np.arange(X.shape[0])
        found = self.outputs(X, "predict")
        for member, predicted in zip(self.bank.members, found, strict=True):
            votes[rows, np.asarray(predicted).astype(np.int64)] += member.weight
            yield

    def add_values(self, X: Matrix, values: npt.NDArray[np.float64]) -> Iterator[None]:
        """Add each regressor's weighted prediction to `values`, one member at a step.

        Parameters
        ----------
        X : ndarray or csr_matrix, shape (n, n_features)
        values : ndarray of shape (n,)
            Changed in place.
        """
        found = self.outputs(X, "predict")
        for member, predicted in zip(self.bank.members, found, strict=True):
            values += member.weight * np.asarray(predicted, dtype=np.float64).reshape(-1)
            yield


def _class_codes(learner: Any, n_classes: int) -> npt.NDArray[np.int64] | None:
    """Return the class codes of a learner's columns; None where they are all, in order."""
    classes = getattr(learner, "classes_", None)
    if classes is None or not n_classes:
        return None
    codes = np.asarray(classes).astype(np.int64)
    return None if len(codes) == n_classes else codes


def _check_width(member: StoredMember, proba: npt.NDArray[Any], expected: int) -> None:
    if proba.ndim != 2 or proba.shape[1] != expected:
        raise TrainingError(
            "output_width",
            f"predict_proba of {member.file!r} must give {expected} columns, one for each class "
            f"that it was fitted on. Got an array of shape {proba.shape}.",
            "A learner must tell its classes in classes_, and keep to them.",
        )


def _missing(X: Any) -> list[int]:
    """Return the features of a block that have NaN."""
    values = X.data if sp.issparse(X) else X
    with np.errstate(over="ignore", invalid="ignore"):
        if not np.isnan(values.sum(dtype=np.float64)):
            return []
    if sp.issparse(X):
        return sorted(set(X.indices[np.isnan(values)].tolist()))
    found: list[int] = np.flatnonzero(np.isnan(values).any(axis=0)).tolist()
    return found


class _Forms:
    """The forms of one block that members ask for, each made once."""

    def __init__(self, X: Matrix) -> None:
        self._X: Any = X
        self._made: dict[Any, Any] = {}

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
