"""A vote of fitted models of any kind, such as ensembles and networks together."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError, StorageError
from sparkml_dist.models.classification_model import ShardClassificationModel
from sparkml_dist.models.loading import Saved, saved_inside
from sparkml_dist.models.persistable import save_inside
from sparkml_dist.models.regression_model import ShardRegressionModel
from sparkml_dist.models.scoring import Predict, Scorer, streams, within
from sparkml_dist.models.shard_model import ShardModel
from sparkml_dist.persistence.model_folder import ModelFile
from sparkml_dist.persistence.saved_folder import SavedFolder
from sparkml_dist.persistence.workspace import empty_folder
from sparkml_dist.report.fitted_model import FittedModel
from sparkml_dist.report.plots.bars import plot_bars
from sparkml_dist.session import get_session

__all__ = ["VotedClassificationModel", "VotedRegressionModel", "vote"]


@dataclass(frozen=True)
class VotedScorer:
    """Scorers of models as sent to workers, each with its weight in the vote."""

    scorers: tuple[Scorer, ...]
    weights: tuple[float, ...]

    @property
    def cache_key(self) -> str:
        """A key that identifies the models within a worker."""
        parts = [f"{s.cache_key} {w!r}" for s, w in zip(self.scorers, self.weights, strict=True)]
        return f"voted/{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()}"

    @property
    def raw_scale(self) -> float:
        """The total weight of the votes: ``rawPrediction`` is the probability times it."""
        return float(sum(self.weights))

    @property
    def streams(self) -> bool:
        """Whether members of a model are read again for each block."""
        return any(map(streams, self.scorers))

    def within(self, memory: int) -> VotedScorer:
        """Return the scorer with at most `memory` bytes of members loaded at once."""
        share = memory // len(self.scorers)
        return replace(self, scorers=tuple(within(s, share) for s in self.scorers))

    def load(self) -> Predict:
        """Load all models; return a function from features (n, d) to their mean output."""
        predicts = [scorer.load() for scorer in self.scorers]
        shares = np.asarray(self.weights, np.float64) / sum(self.weights)

        def predict(X: Any) -> npt.NDArray[np.float64]:
            total = np.asarray(predicts[0](X), np.float64) * shares[0]
            for share, one in zip(shares[1:], predicts[1:], strict=True):
                total += share * np.asarray(one(X), np.float64)
            return total

        return predict


class _Voted(FittedModel, ShardModel):
    """Models in folders inside the vote's own folder."""

    @property
    def models(self) -> list[ShardModel]:
        """The models that vote."""
        if "_models" not in vars(self):
            self._models = [self._inner(i) for i in range(len(self.content["models"]))]
        return list(self._models)

    def _inner(self, index: int) -> ShardModel:
        model: ShardModel = saved_inside(self.folder, _home(index), self.files, self.trusted)
        if not isinstance(model, ShardModel) or model.label.classes != self.label.classes:
            raise StorageError(
                "altered_manifest",
                f"{self.folder.uri(_home(index))!r} does not hold a model that fits this vote.",
                "The saved vote was altered: restore it, or call vote again.",
            )
        return model

    @classmethod
    def _restore(cls, saved: Saved) -> Self:
        model = super()._restore(saved)
        model.trusted = saved.trusted
        _ = model.models, model.weights
        return model

    @property
    def weights(self) -> list[float]:
        """Each model's weight in the vote."""
        return [record["weight"] for record in self.content["models"]]

    def _picture(self) -> Any:
        names = [f"{i}: {type(model).__name__}" for i, model in enumerate(self.models)]
        values = dict(zip(names, self.weights, strict=True))
        return lambda folder: plot_bars(
            values, folder, "weights.png", title="Weights of the models in the vote", x="weight"
        )

    def _scorer(self) -> VotedScorer:
        return VotedScorer(tuple(m._scorer() for m in self.models), tuple(self.weights))


class VotedClassificationModel(_Voted, ShardClassificationModel):
    """Classifiers whose weighted mean of probabilities is the prediction; see `vote`."""

    def _target(self) -> str:
        return f"{len(self.content['models'])} models, {super()._target()}"


class VotedRegressionModel(_Voted, ShardRegressionModel):
    """Regressors whose weighted mean is the prediction; see `vote`."""


def vote(
    models: Sequence[ShardModel],
    *,
    weights: Sequence[float] | None = None,
    modelDir: str | None = None,
) -> VotedClassificationModel | VotedRegressionModel:
    """Combine fitted models of any kind into one model that votes; nothing is fitted.

    The models' files are copied, so that the vote is saved and loaded as a whole.

    Parameters
    ----------
    models : sequence of ShardModel
        Fitted on the same columns, with the same classes: ensembles, `KerasClassificationModel`,
        other votes, … The vote averages the classifiers' probabilities, or the regressors'
        predictions.
    weights : sequence of float, optional
        Each model's weight (>= 0, not all zero); equal by default.
    modelDir : str, optional
        Empty folder for the files, visible to all workers; a temporary one by default.

    Returns
    -------
    VotedClassificationModel or VotedRegressionModel

    Raises
    ------
    ConfigurationError
        ``no_models``, ``invalid_param``, ``not_fitted``, ``spark_bases``, or ``models_differ`` if
        their features or classes differ.

    Examples
    --------
    >>> both = vote([model, model], weights=[1, 2])
    >>> both.transform(iris).columns[-1]
    'predictedLabel'
    """
    shares = [1.0] * len(models) if weights is None else [float(w) for w in weights]
    _check(models, shares)
    where = None if modelDir is None else str(modelDir)
    folder = empty_folder(get_session(), where, "model", "modelDir")
    files: list[ModelFile] = []
    for i, model in enumerate(models):
        files += save_inside(model, folder, _home(i))
    first = models[0]
    kind = VotedRegressionModel if first.label.is_regression else VotedClassificationModel
    found = kind(
        folder,
        first.schema,
        first.label,
        files,
        {"models": [{"weight": weight} for weight in shares]},
        {"models": [m.summary for m in models]},
    )
    found.trusted = tuple(dict.fromkeys(t for m in models for t in m.trusted))
    found._save_manifest(SavedFolder(folder))
    return found


def _home(model: int) -> str:
    return f"models/{model:03d}"


def _check(models: Sequence[ShardModel], weights: list[float]) -> None:
    if not models:
        raise ConfigurationError("no_models", "A vote needs at least one fitted model.")
    for i, model in enumerate(models):
        if not isinstance(model, ShardModel):
            raise ConfigurationError(
                "not_fitted",
                f"Model {i} of the vote is a {type(model).__name__}, not a fitted model of "
                "sparkml_dist.",
                "Pass models that fit returned; to fit learners that vote, use VotingClassifier.",
            )
        if any("members" not in base for base in model.content.get("bases", ())):
            raise ConfigurationError(
                "spark_bases",
                f"Model {i} of the vote, a {type(model).__name__}, has Spark ML bases, which "
                "predict through Spark and cannot vote inside a worker.",
                "Pass its sparkml_dist base models to vote, or stack the models.",
            )
    if len(weights) != len(models) or min(weights) < 0 or not 0 < sum(weights) < float("inf"):
        raise ConfigurationError(
            "invalid_param",
            f"weights must be {len(models)} numbers >= 0, not all zero. Got {weights}.",
        )
    first = models[0]
    for i, model in enumerate(models[1:], 1):
        if model.label.classes != first.label.classes or model.label.kind != first.label.kind:
            raise ConfigurationError(
                "models_differ",
                f"Models 0 and {i} of the vote have different classes: {_shown(first)} and "
                f"{_shown(model)}.",
                "Fit them on the same labels.",
            )
        if model.schema != first.schema:
            names = [m.schema.feature_names for m in (first, model)]
            odd = [n for n in (*names[0], *names[1]) if (n in names[0]) != (n in names[1])]
            raise ConfigurationError(
                "models_differ",
                f"Models 0 and {i} of the vote have different features"
                + (f", such as {', '.join(odd[:5])}." if odd else ", or features of other forms."),
                "Fit them on the same partitioned data set.",
            )


def _shown(model: ShardModel) -> str:
    classes = [str(c) for c in model.label.classes]
    return ", ".join(classes[:5]) + (", …" if len(classes) > 5 else "") or "a number"
