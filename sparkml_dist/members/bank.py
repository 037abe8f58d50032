"""The stored members of a model, and how workers load them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from sparkml_dist.dataset.schema import Matrix, is_unseen, with_unseen_codes
from sparkml_dist.errors import DataError, StorageError, TrainingError
from sparkml_dist.learners.direct import direct
from sparkml_dist.members.stored_member import StoredMember
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.learners import load_learner

__all__ = ["BankScorer", "LoadedMembers", "MemberBank", "StreamedLearners"]


@dataclass(frozen=True)
class MemberBank:
    """The members of a model as sent to workers: small and picklable; workers load the files.

    Attributes
    ----------
    folder : Folder
        The model's folder.
    members : tuple of StoredMember
    n_classes : int
        0 for a regression.
    feature_names : tuple of str
        Used in messages.
    trusted : tuple of str
        Types that member files may contain in addition to the allow-list.
    memory : int, optional
        Bytes that members may take in a worker at once; those that do not fit are read again for
        each block. A member takes about as much memory as its file has bytes.
    categories : tuple of int
        Number of categories of each feature, 0 for numeric ones; empty if all are numeric.
    """

    folder: Folder
    members: tuple[StoredMember, ...]
    n_classes: int
    feature_names: tuple[str, ...]
    trusted: tuple[str, ...] = ()
    memory: int | None = None
    categories: tuple[int, ...] = ()

    @property
    def cache_key(self) -> str:
        """A key that changes with every member and with the trusted types."""
        trusted = repr(sorted(set(self.trusted)))
        parts = [self.folder.location, repr(self.memory), trusted, *map(repr, self.members)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def size(self) -> int:
        """Return the total size of the members' files in bytes."""
        return sum(self._sizes)

    @cached_property
    def _sizes(self) -> list[int]:
        return self.folder.sizes([member.file for member in self.members])

    @property
    def streams(self) -> bool:
        """Whether members are read again for each block, because memory does not hold them all."""
        return self.memory is not None and len(self.members) > 1 and self.size() > self.memory

    def load(self) -> LoadedMembers:
        """Read the members' files and verify their checksums; if they stream, only those that fit.

        Raises
        ------
        StorageError
            ``file_altered``, ``damaged_member`` or ``untrusted_type``.
        ResourceError
            ``out_of_memory``.
        """
        return LoadedMembers(self, StreamedLearners(self) if self.streams else self.learners())

    def learners(self, number: int | None = None) -> list[Any]:
        """Read the members' files, or the first `number` of them; raises as `load` does."""
        return [self._learner(m) for m in self.members[:number]]

    def fitting(self) -> int:
        """Return how many members, from the first on, fit into `memory` beside the largest one."""
        room = (self.memory or 0) - max(self._sizes, default=0)
        number = 0
        for size in self._sizes:
            room -= size
            if room < 0:
                break
            number += 1
        return number

    def learner(self, index: int) -> Any:
        """Read one member's file and verify its checksum; raises as `load` does."""
        return self._learner(self.members[index])

    def refuse_missing(self, X: Matrix) -> None:
        """Raise if a block has missing values that a member does not accept.

        Raises
        ------
        DataError
            ``missing_values``, or ``unseen_category`` if a category that was not in the training
            data would count as a missing value.
        """
        if all(m.allows_missing is True for m in self.members):
            return
        missing, unseen = _missing(X)
        if not (missing or unseen):
            return
        for allowed, encodes in dict.fromkeys((m.allows_missing, m.encodes) for m in self.members):
            if allowed is True:
                continue
            takes = set(allowed or ())
            if bad := [i for i in missing if i not in takes]:
                raise DataError(
                    "missing_values",
                    f"The data to score has missing values in {self._named(bad)}, which the "
                    "ensemble's learners do not accept.",
                    "Fill them in, or fit a pipeline that imputes.",
                )
            if not encodes and (bad := [i for i in unseen if i not in takes]):
                raise DataError(
                    "unseen_category",
                    f"The data to score has categories in {self._named(bad)} that were not in the "
                    "training data, and the ensemble's learners cannot handle them.",
                    "Fit a pipeline with an encoder: OneHotEncoder(handle_unknown='ignore'), or a "
                    "learner that accepts missing values.",
                )

    def _named(self, features: list[int]) -> str:
        return ", ".join(self.feature_names[i] for i in features[:5])

    def _learner(self, member: StoredMember) -> Any:
        content = self.folder.read_bytes(member.file)
        where = self.folder.uri(member.file)
        if hashlib.sha256(content).hexdigest() != member.sha256:
            raise StorageError(
                "file_altered",
                f"The model's file {where!r} does not match its manifest.",
                "It was truncated or altered; restore it, or fit the model again.",
            )
        return load_learner(content, where, trusted=self.trusted)


class BankScorer:
    """Base of the scorers that use the members of one bank; see `BoundedScorer`.

    Attributes
    ----------
    bank : MemberBank
    """

    bank: MemberBank

    @property
    def streams(self) -> bool:
        """Whether members are read again for each block."""
        return self.bank.streams

    def within(self, memory: int) -> Self:
        """Return the scorer with at most `memory` bytes of members loaded at once."""
        bank = replace(self.bank, memory=memory)
        return replace(self, bank=bank)  # type: ignore[type-var]


class StreamedLearners:
    """Learners in the order of a bank's members: some in memory, the others read on demand.

    Parameters
    ----------
    bank : MemberBank
    """

    def __init__(self, bank: MemberBank) -> None:
        self._bank = bank
        self._kept = bank.learners(bank.fitting())

    def __iter__(self) -> Iterator[Any]:
        yield from self._kept
        for index in range(len(self._kept), len(self._bank.members)):
            yield self._bank.learner(index)


def _missing(X: Any) -> tuple[list[int], list[int]]:
    """Return the features of a block with missing values, and those with unseen categories."""
    values = X.data if sp.issparse(X) else X
    with np.errstate(over="ignore", invalid="ignore"):
        if not np.isnan(values.sum(dtype=np.float64)):
            return [], []
    unseen = is_unseen(values)
    found = []
    for where in (np.isnan(values) & ~unseen, unseen):
        at = X.indices[where] if sp.issparse(X) else np.flatnonzero(where.any(axis=0))
        found.append(sorted(set(at.tolist())))
    return found[0], found[1]


class LoadedMembers:
    """Learners in a worker that compute their outputs on blocks.

    Parameters
    ----------
    bank : MemberBank
    learners : iterable of fitted scikit-learn estimators
        In the order of ``bank.members``; iterated over once for each block.
    """

    def __init__(self, bank: MemberBank, learners: Iterable[Any]) -> None:
        self.bank = bank
        self.learners = learners

    def outputs(self, X: Matrix, method: str) -> Iterator[Any]:
        """Yield the output of each member's method on a block, in the members' order.

        Parameters
        ----------
        X : ndarray or csr_matrix, shape (n, n_features)
        method : {"predict", "predict_proba", "decision_function"}

        Yields
        ------
        ndarray
            As the learner returns it: columns of its own classes only, not padded.

        Raises
        ------
        DataError
            ``missing_values`` if a member does not accept them.
        """
        for _, result in self._results(X, method):
            yield result

    def _results(self, X: Matrix, method: str) -> Iterator[tuple[Any, Any]]:
        """Yield each learner and the output of its method on a block."""
        from sklearn import config_context

        forms = _InputForms(X, self.bank.categories)
        self.bank.refuse_missing(X)
        for member, learner in zip(self.bank.members, self.learners, strict=True):
            block = forms.for_member(member)
            call = None if sp.issparse(block) else direct(learner, method, block.shape[1])
            if call is not None:
                result = call(block)
            else:
                # The block is checked for missing values once, above, and not for each member.
                with config_context(assume_finite=True), _explain_unknown_category(member):
                    result = getattr(learner, method)(block)
            yield learner, result

    def add_probabilities(self, X: Matrix, votes: npt.NDArray[np.float64]) -> Iterator[None]:
        """Add each member's weighted probabilities to `votes`, one member per step.

        Classes that a member did not see get no probability from it.

        Parameters
        ----------
        X : ndarray or csr_matrix, shape (n, n_features)
        votes : ndarray of shape (n, n_classes)
            Changed in place.

        Raises
        ------
        TrainingError
            ``output_width`` if the number of columns is not the member's number of classes.
        """
        found = self._results(X, "predict_proba")
        for member, (learner, proba) in zip(self.bank.members, found, strict=True):
            codes = _class_codes(learner, self.bank.n_classes)
            _check_width(member, proba, self.bank.n_classes if codes is None else len(codes))
            weighted = proba if member.weight == 1.0 else proba * member.weight
            if codes is None:
                votes += weighted
            else:
                votes[:, codes] += weighted
            yield

    def add_votes(self, X: Matrix, votes: npt.NDArray[np.float64]) -> Iterator[None]:
        """Add each member's weight to the class that it predicts, one member per step.

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
        """Add each regressor's weighted prediction to `values`, one member per step.

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


@contextmanager
def _explain_unknown_category(member: StoredMember) -> Iterator[None]:
    """Replace an encoder's error about an unknown category by one with a hint."""
    try:
        yield
    except ValueError as error:
        if not member.encodes or "unknown categories" not in str(error):
            raise
        raise DataError(
            "unseen_category",
            f"An encoder in {member.file!r} refuses a category not in its shards: {error}.",
            "Fit the encoder with handle_unknown='ignore', or another such option.",
        ) from error


def _class_codes(learner: Any, n_classes: int) -> npt.NDArray[np.int64] | None:
    """Return the class codes of a learner's columns, or None if it has all classes in order."""
    classes = getattr(learner, "classes_", None)
    if classes is None or not n_classes:
        return None
    codes = np.asarray(classes).astype(np.int64)
    return None if len(codes) == n_classes else codes


def _check_width(member: StoredMember, proba: npt.NDArray[Any], expected: int) -> None:
    if proba.ndim != 2 or proba.shape[1] != expected:
        raise TrainingError(
            "output_width",
            f"predict_proba of {member.file!r} must return {expected} columns, one for each class "
            f"that it was fitted on. Got an array of shape {proba.shape}.",
            "A learner must list its classes in classes_ and return one column for each.",
        )


class _InputForms:
    """The forms of one block that members take, each made once."""

    def __init__(self, X: Matrix, categories: Sequence[int]) -> None:
        self._X: Any = X
        self._coded = with_unseen_codes(X, categories)
        self._made: dict[Any, Any] = {}

    def for_member(self, member: StoredMember) -> Any:
        sparse = sp.issparse(self._X) and member.allows_sparse
        coded = member.encodes and self._coded is not self._X
        whole = self._form("csr" if sparse else member.dtype, coded)
        return whole if member.features is None else whole[:, list(member.features)]

    def _form(self, kind: str, coded: bool) -> Any:
        if (kind, coded) not in self._made:
            X = self._coded if coded else self._X
            if kind != "csr":
                X = X.toarray() if sp.issparse(X) else X
                X = X.astype(kind, copy=False)
            self._made[kind, coded] = X
        return self._made[kind, coded]
