"""The members of a model in a worker, asked for their outputs on blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from sparkml_dist.dataset.schema import Matrix, with_unseen_codes
from sparkml_dist.ensemble.compiled.direct import direct
from sparkml_dist.errors import DataError, TrainingError

if TYPE_CHECKING:
    from sparkml_dist.ensemble.bank import MemberBank, StoredMember

__all__ = ["LoadedMembers"]


class LoadedMembers:
    """Learners in a worker, asked for their outputs on blocks.

    Parameters
    ----------
    bank : MemberBank
    learners : iterable of fitted scikit-learn estimators
        In the order of ``bank.members``; gone through once for each block.
    """

    def __init__(self, bank: MemberBank, learners: Iterable[Any]) -> None:
        self.bank = bank
        self.learners = learners

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
        for _, result in self._asked(X, method):
            yield result

    def _asked(self, X: Matrix, method: str) -> Iterator[tuple[Any, Any]]:
        """Yield each learner and what its method says of a block."""
        from sklearn import config_context

        forms = _Forms(X, self.bank.categories)
        self.bank.refuse_missing(X)
        for member, learner in zip(self.bank.members, self.learners, strict=True):
            block = forms.for_member(member)
            ask = None if sp.issparse(block) else direct(learner, method, block.shape[1])
            if ask is not None:
                result = ask(block)
            else:
                # Missing values have been looked for once, above, and not for each member.
                with config_context(assume_finite=True), _told_of_categories(member):
                    result = getattr(learner, method)(block)
            yield learner, result

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
        found = self._asked(X, "predict_proba")
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


@contextmanager
def _told_of_categories(member: StoredMember) -> Iterator[None]:
    """Say what an encoder means that refuses a category."""
    try:
        yield
    except ValueError as error:
        if not member.encodes or "unknown categories" not in str(error):
            raise
        raise DataError(
            "unseen_category",
            f"An encoder in {member.file!r} refuses a category that its shards had not: {error}.",
            "Fit it with handle_unknown='ignore', or another that its encoder has.",
        ) from error


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


class _Forms:
    """The forms of one block that members ask for, each made once."""

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
