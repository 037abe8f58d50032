"""A trial fit on a few rows: what a learner accepts, and whether it can be stored."""

from __future__ import annotations

import json
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.cluster.workers import check_workers
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.errors import DataError, TrainingError
from sparkml_dist.learners.boosters import few_rounds
from sparkml_dist.learners.fitting import fit_learner
from sparkml_dist.learners.known_learner import KnownLearner
from sparkml_dist.learners.learner import Traits, modules_of
from sparkml_dist.persistence.learners import skops_bytes, untrusted_error, untrusted_types

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Candidate", "dry_fit"]

_ROWS = 200
_ROWS_OF_A_CLASS = 10
# With at most this many features, each is tried on its own.
_FEATURES_TRIED = 64
# Limits for the trial: smaller values answer the same questions.
_ENOUGH = {"n_estimators": 3, "max_iter": 10}
_FORMS = ("array", "frame", "text")

Target = Literal["label", "gradient"]


@dataclass(frozen=True)
class Candidate:
    """A learner to try, and what it will learn.

    Attributes
    ----------
    known : KnownLearner
    outputs : int, optional
        Number of features that are outputs of base learners and precede the data's; for a final
        learner.
    features : bool, default=True
        Whether it gets the data's features.
    target : {"label", "gradient"}, default="label"
        "gradient" is a number, whatever the label is.
    """

    known: KnownLearner
    outputs: int = 0
    features: bool = True
    target: Target = "label"

    @property
    def kind(self) -> str:
        """A key that is equal for candidates that differ in numbers only; they share a trial."""
        params = self.known.learner.get_params(deep=True).items()
        shown = {k: type(v).__name__ if _is_number(v) else repr(v) for k, v in sorted(params)}
        own = [type(self.known.learner).__qualname__, self.known.form, self.outputs, self.features]
        return json.dumps([*own, self.target, self.known.by_class, shown])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


# Results of the latest trials: a grid search tries the same learners again and again.
_results: OrderedDict[Any, dict[str, Any]] = OrderedDict()
_KEPT = 64


def dry_fit(
    spark: SparkSession,
    data: PartitionedDataset,
    candidates: Sequence[Candidate],
    trusted: Sequence[str] = (),
) -> list[KnownLearner]:
    """Fit learners to a few rows of the first shard, in tasks, and return what was learnt of them.

    If a learner fails on so few rows, its tags are trusted: it may need more rows.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    data : PartitionedDataset
    candidates : sequence of Candidate
    trusted : sequence of str
        Types that members may contain in addition to the allow-list.

    Returns
    -------
    list of KnownLearner

    Raises
    ------
    StorageError
        ``untrusted_type``, naming all such types of all learners.
    TrainingError
        ``not_storable``.
    DataError
        ``missing_values``.
    """
    source = (data.location, data.manifest.content_sha256, *trusted)
    keys = [(*source, c.kind) for c in candidates]
    untried = {k: c for k, c in zip(keys, candidates, strict=True) if k not in _results}
    found = {k: _results[k] for k in keys if k in _results}
    if untried:
        modules = {m for c in untried.values() for m in modules_of(c.known.learner)}
        check_workers(spark, sorted(modules))
        task = _TrialTask(data, tuple(untried.values()), tuple(trusted))
        indices = range(len(untried))
        outcomes = run_tasks(spark, indices, task, description="try learners on a few rows")
        found |= {k: o.result for k, o in zip(untried, outcomes, strict=True) if o.error is None}
        _results.update({k: found[k] for k in untried if k in found})
        while len(_results) > _KEPT:
            _results.popitem(last=False)
    answers = [found.get(k, {}) for k in keys]
    _refuse(data, candidates, answers, trusted)
    return [_updated(c.known, a) for c, a in zip(candidates, answers, strict=True)]


def _updated(known: KnownLearner, answer: dict[str, Any]) -> KnownLearner:
    """Return a learner's description, updated by the results of its trial."""
    if not answer.get("fits"):
        return known
    known = known.with_form(answer["form"])
    missing = answer["missing"]
    traits = replace(
        known.traits,
        allows_missing=missing if isinstance(missing, bool) else tuple(missing),
        weight_parameter=known.traits.weight_parameter if answer["weighted"] else None,
    )
    return replace(known, traits=traits)


def _refuse(
    data: PartitionedDataset,
    candidates: Sequence[Candidate],
    answers: Sequence[dict[str, Any]],
    trusted: Sequence[str],
) -> None:
    for candidate, answer in zip(candidates, answers, strict=True):
        refuses = answer.get("refuses_missing", not candidate.known.traits.allows_missing)
        if candidate.features and data.manifest.missing_features and refuses:
            raise missing_values(candidate.known.traits.name, data)
    unknown = sorted({name for a in answers for name in a.get("untrusted", ())})
    if unknown:
        names = dict.fromkeys(
            c.known.traits.name
            for c, a in zip(candidates, answers, strict=True)
            if a.get("untrusted")
        )
        raise untrusted_error(", ".join(names), unknown, trusted)
    for candidate, answer in zip(candidates, answers, strict=True):
        if answer.get("not_storable"):
            raise TrainingError(
                "not_storable",
                f"skops cannot store {candidate.known.traits.name}: {answer['not_storable']}.",
                "Use a learner made of scikit-learn's parts.",
            )


def missing_values(name: str, data: PartitionedDataset) -> DataError:
    """Return the error for a learner that does not accept the missing values of the data."""
    missing = [data.feature_names[i] for i in data.manifest.missing_features]
    shown = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
    return DataError(
        "missing_values",
        f"{name} does not accept missing values, which are in {len(missing)} feature(s): {shown}.",
        "Put an imputer before it: make_pipeline(SimpleImputer(), learner); in jobs, use --impute.",
    )


@dataclass(frozen=True)
class _TrialTask:
    """Fits the candidates, one per task."""

    data: PartitionedDataset
    candidates: tuple[Candidate, ...]
    trusted: tuple[str, ...]

    def __call__(self, index: int) -> dict[str, Any]:
        candidate = self.candidates[index]
        X, y = _some_rows(self.data, candidate)
        trial = _Trial(candidate, X, y, tuple(self.data.manifest.missing_features))
        return trial.answer(self.trusted)


@dataclass(frozen=True)
class _Trial:
    """A few rows, and a learner to try on them."""

    candidate: Candidate
    X: Any
    y: npt.NDArray[Any]
    missing: tuple[int, ...]

    def answer(self, trusted: Sequence[str]) -> dict[str, Any]:
        """Return what the learner accepts, and which types its file would contain."""
        outputs = self.candidate.outputs
        holes = [h + outputs for h in self.missing] if self.candidate.features else []
        whole = _without_missing(self.X)
        given = _with_missing(whole, self.X, holes)
        fitted = None
        found: dict[str, Any] = {"fits": False, "refuses_missing": False}
        for known, weighted in self._ways():
            fitted = self._fitted(known, given, weighted)
            if fitted is None and holes:
                fitted = self._fitted(known, whole, weighted)
                found["refuses_missing"] = fitted is not None
            if fitted is not None:
                found |= {"fits": True, "form": known.form, "weighted": weighted}
                break
        if fitted is None:
            # Trust the tags: with more rows the fit may succeed.
            return {"fits": False}
        found["missing"] = self._predicts_missing(fitted, whole, holes)
        try:
            content = skops_bytes(fitted)
        except Exception as error:  # noqa: BLE001 - a learner's state may raise anything
            return found | {"not_storable": str(error)}
        return found | {"untrusted": untrusted_types(content, trusted)}

    def _ways(self) -> Iterator[tuple[KnownLearner, bool]]:
        """Yield the input forms that the learner may need, the likeliest first."""
        known = self.candidate.known
        later = _FORMS[_FORMS.index(known.form) + 1 :] if known.form in _FORMS else ()
        if "text" in later and not known.schema.categorical_features:
            later = tuple(f for f in later if f != "text")
        if sp.issparse(self.X) and self.candidate.known.traits.allows_sparse:
            later = ()
        for form in (known.form, *later):
            if known.traits.weight_parameter:
                yield known.with_form(form), True
            yield known.with_form(form), False

    def _fitted(self, known: KnownLearner, X: Any, weighted: bool) -> Any:
        """Return the fitted learner, or None if fitting or predicting fails."""
        learner = known.prepared(0, 1)
        params = learner.get_params(deep=True)
        less = {
            name: enough
            for name, value in params.items()
            if (enough := _ENOUGH.get(name.rpartition("__")[2])) is not None
            and _is_number(value)
            and value > enough
        } | few_rounds(learner)
        try:
            learner.set_params(**less)
            weight = np.ones(len(self.y)) if weighted else None
            traits = known.traits
            fitted, _, _ = fit_learner(learner, _as_taken(X, traits), self.y, weight, traits)
            self._predicted(fitted, _as_taken(X, traits))
        except Exception:  # noqa: BLE001 - a learner may raise anything
            return None
        return fitted

    def _predicted(self, fitted: Any, X: Any) -> None:
        """Raise unless the fitted learner predicts finite numbers or classes."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            method = "predict_proba" if self.candidate.known.traits.probabilistic else "predict"
            predicted = np.asarray(getattr(fitted, method)(X), dtype=np.float64)
        if not np.isfinite(predicted).all():
            raise ValueError("the prediction is not a number")

    def _predicts_missing(self, fitted: Any, whole: Any, holes: Sequence[int]) -> bool | list[int]:
        """Return whether it predicts rows with missing values: in all features, none, or a list."""
        first, rows = self.candidate.outputs, np.arange(min(5, len(self.y)))
        few = whole[rows]

        def takes(features: Sequence[int]) -> bool:
            X = few.copy()
            if sp.issparse(X):
                X.data = np.where(np.isin(X.indices, features), np.nan, X.data)
            else:
                X[:, list(features)] = np.nan
            try:
                self._predicted(fitted, _as_taken(X, self.candidate.known.traits))
            except Exception:  # noqa: BLE001 - a learner may raise anything
                return False
            return True

        if not self.candidate.features:
            return False
        width = whole.shape[1]
        if takes(range(first, width)):
            return True
        each = width - first <= _FEATURES_TRIED
        found = [i for i in (range(first, width) if each else holes) if takes([i])]
        return found or False


def _as_taken(X: Any, traits: Traits) -> Any:
    if sp.issparse(X):
        return X if traits.allows_sparse else X.toarray().astype(traits.dtype, copy=False)
    return X.astype(traits.dtype, copy=False)


def _some_rows(data: PartitionedDataset, candidate: Candidate) -> tuple[Any, npt.NDArray[Any]]:
    """Return features and targets of a few rows; frequent classes have enough for any folds."""
    shard = next(s for s in data.shards if s.rows)
    block = data.read_block(shard.index, [0])
    label, rng = block.y, np.random.default_rng(0)
    if data.manifest.label.is_regression:
        rows = np.arange(min(len(block), _ROWS))
    else:
        counts = np.bincount(label)
        ranked = np.argsort(-counts, kind="stable")[: _ROWS // _ROWS_OF_A_CLASS].tolist()
        often = [c for c in ranked if counts[c] >= _ROWS_OF_A_CLASS] or ranked
        each = _ROWS // len(often)
        rows = np.sort(np.concatenate([np.flatnonzero(label == c)[:each] for c in often]))
    y = label[rows]
    if len(data.manifest.label.classes) > 1 and len(np.unique(y)) == 1:
        y = np.where(np.arange(len(y)) % 2, y, (y + 1) % len(data.manifest.label.classes))
    if candidate.target == "gradient":
        y = rng.normal(size=len(rows))
    X: Any = block.X[rows]
    if candidate.outputs:
        outputs = rng.uniform(size=(len(rows), candidate.outputs)).astype(np.float32)
        if not candidate.features:
            return outputs, y
        X = sp.csr_matrix(sp.hstack([outputs, X])) if sp.issparse(X) else np.hstack([outputs, X])
    return X, y


def _without_missing(X: Any) -> Any:
    """Return rows with each missing value replaced by a value of its feature, or by 0."""
    if sp.issparse(X):
        filled = X.copy()
        filled.data = np.nan_to_num(filled.data)
        return filled
    gone = np.isnan(X)
    if not gone.any():
        return X
    first = np.argmin(gone, axis=0)
    known = np.nan_to_num(X[first, np.arange(X.shape[1])])
    return np.where(gone, known, X).astype(X.dtype)


def _with_missing(whole: Any, X: Any, holes: Sequence[int]) -> Any:
    """Return rows with missing values in all features `holes`, even if these rows have none."""
    if not holes:
        return whole
    made = X.copy()
    if sp.issparse(made):
        at = np.flatnonzero(np.isin(made.indices, holes))[::7]
        made.data[at] = np.nan
        return made
    without = [h for h in holes if not np.isnan(X[:, h]).any()]
    for h in without:
        made[h % 7 :: 7, h] = np.nan
    return made
