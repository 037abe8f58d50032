"""Params of the federated estimators, and the settings of a training that they stand for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pyspark.ml.param import TypeConverters
from pyspark.ml.param.shared import HasFeaturesCol, HasLabelCol, HasPredictionCol, HasSeed

from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.federated.privacy.accountant import PrivacyAccountant
from sparkml_dist.federated.privacy.record_privacy import RecordPrivacy
from sparkml_dist.federated.privacy.secure_sum import SecureSum
from sparkml_dist.federated.privacy.silo_privacy import AdaptiveClipping, SiloPrivacy
from sparkml_dist.federated.strategies.aggregation.aggregation import Aggregation
from sparkml_dist.federated.strategies.aggregation.aggregation_of import aggregation_of
from sparkml_dist.federated.strategies.participation import Participation
from sparkml_dist.federated.strategies.rounds import RoundSettings
from sparkml_dist.federated.strategies.strategy import Strategy
from sparkml_dist.federated.strategies.strategy_of import strategy_of
from sparkml_dist.federated.training.local_training import LocalSettings
from sparkml_dist.params import AccessibleParams, HasColumns, HasModelDir, param

if TYPE_CHECKING:
    from sparkml_dist.federated.training.flat_model import FlatModel

__all__ = ["PRIVACY_UNITS", "HasFederation"]

#: What differential privacy hides.
PRIVACY_UNITS = ("record", "silo")


class HasFederation(
    AccessibleParams, HasFeaturesCol, HasLabelCol, HasModelDir, HasPredictionCol, HasSeed
):
    """The Params of every estimator over silos."""

    featuresCols: Any = HasColumns.featuresCols
    categoricalCols: Any = HasColumns.categoricalCols
    keyCol: Any = HasColumns.keyCol
    siloCol: Any = param("siloCol", "column with the names of the silos", TypeConverters.toString)
    model: Any = param(
        "model",
        "'logistic' or 'linear', 'perceptron', 'fourier' (on random features), or a Keras network: "
        "'mlp', 'cnn', 'FILE.py:FUNCTION' or a function",
    )
    strategy: Any = param(
        "strategy", "a strategy's name, such as 'scaffold', or object, such as FedProx(mu=0.1)"
    )
    aggregation: Any = param(
        "aggregation",
        "how updates are combined: 'mean', or a robust rule's name or object, such as "
        "TrimmedMean(share=0.1)",
    )
    rounds: Any = param("rounds", "rounds of training (>= 1)", TypeConverters.toInt)
    localEpochs: Any = param(
        "localEpochs", "passes over a silo's rows in a round (>= 1)", TypeConverters.toInt
    )
    localSteps: Any = param(
        "localSteps", "steps of a silo in a round; 0 for localEpochs", TypeConverters.toInt
    )
    batchSize: Any = param(
        "batchSize", "rows of a step (>= 1); 0 for all rows of the silo", TypeConverters.toInt
    )
    learningRate: Any = param("learningRate", "of a silo's steps (> 0)", TypeConverters.toFloat)
    momentum: Any = param(
        "momentum",
        "share of a silo's last step that is repeated (>= 0, < 1)",
        TypeConverters.toFloat,
    )
    weighting: Any = param(
        "weighting", "weights of silos in the mean: 'rows' or 'equal'", TypeConverters.toString
    )
    participation: Any = param(
        "participation",
        "probability that a silo takes part in a round, in (0, 1] (float), or how many do (int)",
    )
    minSilos: Any = param(
        "minSilos", "fewest silos whose updates a round needs (>= 1)", TypeConverters.toInt
    )
    alpha: Any = param(
        "alpha",
        "half of it times the squared coefficients is added to the mean loss (>= 0); of models on "
        "features",
        TypeConverters.toFloat,
    )
    hiddenUnits: Any = param(
        "hiddenUnits", "units of the hidden layers of a perceptron", TypeConverters.toListInt
    )
    numFourierFeatures: Any = param(
        "numFourierFeatures", "random features of model='fourier' (even)", TypeConverters.toInt
    )
    lengthScale: Any = param(
        "lengthScale",
        "of the Gaussian kernel of model='fourier', for standardized features (> 0); the root of "
        "their number when not set",
        TypeConverters.toFloat,
    )
    standardization: Any = param(
        "standardization",
        "whether features get mean 0 and deviation 1 over all silos, found in two rounds",
        TypeConverters.toBoolean,
    )
    inputShape: Any = param(
        "inputShape", "shape of a row for a network, such as [28, 28, 1]", TypeConverters.toListInt
    )
    validationFraction: Any = param(
        "validationFraction",
        "share of each silo's rows, by their keys, that is held out for metrics (>= 0, < 1)",
        TypeConverters.toFloat,
    )
    evaluateEvery: Any = param(
        "evaluateEvery",
        "rounds from one evaluation to the next; 0 for none, the default with noiseMultiplier",
        TypeConverters.toInt,
    )
    personalModels: Any = param(
        "personalModels",
        "whether silos' own models (of ditto and clustered) are collected at the end",
        TypeConverters.toBoolean,
    )
    secure: Any = param(
        "secure",
        "whether sums are secure: the coordinator sees no update",
        TypeConverters.toBoolean,
    )
    noiseMultiplier: Any = param(
        "noiseMultiplier",
        "noise over clipNorm (> 0): the training is differentially private",
        TypeConverters.toFloat,
    )
    clipNorm: Any = param(
        "clipNorm",
        "largest norm of a row's gradient, or of a silo's update, with noiseMultiplier (> 0)",
        TypeConverters.toFloat,
    )
    privacyUnit: Any = param(
        "privacyUnit", "what noiseMultiplier hides: a 'record' or a 'silo'", TypeConverters.toString
    )
    adaptiveClipping: Any = param(
        "adaptiveClipping",
        "whether clipNorm follows the median norm of updates, with privacyUnit='silo'",
        TypeConverters.toBoolean,
    )
    delta: Any = param("delta", "the δ of differential privacy (> 0, < 1)", TypeConverters.toFloat)
    maxEpsilon: Any = param(
        "maxEpsilon", "privacy loss at which the training ends (> 0)", TypeConverters.toFloat
    )

    def _strategy(self) -> Strategy:
        return strategy_of(self.getOrDefault(self.strategy))

    def _aggregation(self) -> Aggregation:
        return aggregation_of(self.getOrDefault(self.aggregation))

    @property
    def _is_private(self) -> bool:
        return self._value(self.noiseMultiplier) is not None

    @property
    def _hides_silos(self) -> bool:
        return self._is_private and self.getOrDefault(self.privacyUnit) == "silo"

    def _validation(self) -> Validation | None:
        share = self.getOrDefault(self.validationFraction)
        if not 0 <= share < 1:
            raise ConfigurationError(
                "invalid_param", f"validationFraction must be >= 0 and < 1. Got {share!r}."
            )
        return Validation(share, self.getOrDefault(self.seed)) if share else None

    def _check_settings(self) -> None:
        """Raise for Params that cannot be, before the first job or round.

        Raises
        ------
        ConfigurationError
            ``invalid_param``, ``conflicting_params``.
        """
        for name in ("alpha",):
            value = self.getOrDefault(self.getParam(name))
            if not (value >= 0 and math.isfinite(value)):
                raise ConfigurationError("invalid_param", f"{name} must be >= 0. Got {value!r}.")
        for name in ("lengthScale", "clipNorm", "noiseMultiplier", "maxEpsilon", "delta"):
            value = self._value(self.getParam(name))
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise ConfigurationError("invalid_param", f"{name} must be > 0. Got {value!r}.")
        if self._value(self.privacyUnit) not in PRIVACY_UNITS:
            raise ConfigurationError(
                "invalid_param",
                f"privacyUnit must be 'record' or 'silo'. Got {self._value(self.privacyUnit)!r}.",
            )
        number = self.getOrDefault(self.numFourierFeatures)
        if number < 2 or number % 2:
            raise ConfigurationError(
                "invalid_param", f"numFourierFeatures must be even and >= 2. Got {number}."
            )
        if any(units < 1 for units in self.getOrDefault(self.hiddenUnits)):
            raise ConfigurationError("invalid_param", "hiddenUnits must be >= 1.")
        if self._is_private and self._value(self.clipNorm) is None:
            raise ConfigurationError(
                "conflicting_params",
                "noiseMultiplier is relative to clipNorm, which is not set.",
                "Set clipNorm, about the median norm of gradients or updates.",
            )
        if self._is_private and self.getOrDefault(self.standardization):
            raise ConfigurationError(
                "conflicting_params",
                "standardization takes means and deviations out of the silos, without noise.",
                "Scale the features by what is known of them, and set standardization=False.",
            )
        participation = self.getOrDefault(self.participation)
        if isinstance(participation, bool) or not isinstance(participation, int | float):
            raise ConfigurationError(
                "invalid_param", f"participation must be a number. Got {participation!r}."
            )
        self._round_settings(2, None, 2.0).check(self._strategy())
        if self.getOrDefault(self.personalModels) and not self._strategy().personal:
            raise ConfigurationError(
                "conflicting_params",
                f"With strategy={self._strategy().name!r} silos have no models of their own.",
                "Take strategy='ditto' or 'clustered', or leave personalModels.",
            )

    def _local(self) -> LocalSettings:
        return LocalSettings(
            self.getOrDefault(self.localEpochs),
            self.getOrDefault(self.localSteps),
            self.getOrDefault(self.batchSize),
            self.getOrDefault(self.learningRate),
            self.getOrDefault(self.momentum),
        )

    def _round_settings(
        self,
        n_silos: int,
        model: FlatModel | None,
        mean_rows: float,
        noise_key: bytes | None = None,
    ) -> RoundSettings:
        """Return the settings of the rounds."""
        every = self._value(self.evaluateEvery)
        participation = Participation(
            self.getOrDefault(self.participation), self.getOrDefault(self.seed)
        )
        privacy: RecordPrivacy | SiloPrivacy | None = None
        accountant = None
        if self._is_private:
            noise, clip = self._value(self.noiseMultiplier), self._value(self.clipNorm)
            unit = self.getOrDefault(self.privacyUnit)
            if unit == "record":
                size = self.getOrDefault(self.batchSize)
                rate = min(1.0, size / max(1.0, mean_rows)) if size else 1.0
                privacy = RecordPrivacy(clip, noise, rate)
            else:
                adaptive = AdaptiveClipping() if self.getOrDefault(self.adaptiveClipping) else None
                privacy = SiloPrivacy(clip, noise, min(1.0, participation.silos), adaptive)
            accountant = PrivacyAccountant(
                self.getOrDefault(self.delta), self._value(self.maxEpsilon), unit=unit
            )
        short = model is not None and model.dtype == "float32"
        return RoundSettings(
            rounds=self.getOrDefault(self.rounds),
            local=self._local(),
            weighting=self.getOrDefault(self.weighting),
            participation=participation,
            aggregation=self._aggregation(),
            minimum=self.getOrDefault(self.minSilos),
            validation=self._validation(),
            evaluate_every=every if every is not None else int(not self._is_private),
            secure=self._secure(n_silos, short=short),
            privacy=privacy,
            accountant=accountant,
            noise_key=noise_key,
            seed=self.getOrDefault(self.seed),
        )

    def _secure(self, n_silos: int, *, short: bool = False) -> SecureSum | None:
        """Return the secure sum, whose words hold a silo's values, weights included."""
        if not self.getOrDefault(self.secure):
            return None
        # Words of 32 bits have steps of about n² / 2^28 of an update: enough for some dozens.
        if short and n_silos <= 64:
            return SecureSum(range=8.0 * n_silos, bits=32)
        return SecureSum(range=1e4 * n_silos, bits=64)
