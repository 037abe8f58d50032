"""Naive Bayes over silos as an estimator."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pyspark.ml.param import TypeConverters

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.federated.ensembles.naive_bayes import federated_naive_bayes
from sparkml_dist.federated.silo_estimator import HasSecureSums, SiloEstimator
from sparkml_dist.learners.fitting import member_traits, store_member
from sparkml_dist.learners.learner import Traits
from sparkml_dist.members.engine import member_files
from sparkml_dist.members.ensemble_model import voting_content
from sparkml_dist.members.voting_model import VotingClassificationModel
from sparkml_dist.params import HasClassColumns, constructor, param
from sparkml_dist.persistence.filesystem import Folder

if TYPE_CHECKING:
    from sparkml_dist.federated.federation import Federation

__all__ = ["FederatedNaiveBayes"]

_NAMES = ("varSmoothing", "alpha", "secure")


class FederatedNaiveBayes(SiloEstimator, HasSecureSums, HasClassColumns):
    """Naive Bayes from sums over silos, equal to scikit-learn's on all rows in one place.

    Gaussian where all features are numbers, categorical where all are categories. The model has one
    member: scikit-learn's `GaussianNB` or `CategoricalNB`.

    Parameters
    ----------
    varSmoothing : float, default=1e-9
        Share of the largest variance of a feature that is added to all variances.
    alpha : float, default=1.0
        Added to each count of a category.
    secure : bool, default=False
        Sum up securely, in fixed point: numbers are then equal to about six decimals. Takes three
        silos or more.
    siloCol, minSilos, federationDir, featuresCols, categoricalCols, keyCol, featuresCol, \
labelCol, weightCol, modelDir, overwrite, resume, predictionCol, seed, predictedLabelCol, \
probabilityCol, rawPredictionCol
        As for `FederatedBaggingClassifier`.

    Examples
    --------
    >>> silos = iris.selectExpr("*", "pmod(hash(petal_length), 3) AS silo")
    >>> model = FederatedNaiveBayes(labelCol="species").fit(silos)
    >>> model.summary["rounds"]
    4
    """

    varSmoothing: Any = param(
        "varSmoothing", "share of the largest variance added to all", TypeConverters.toFloat
    )
    alpha: Any = param("alpha", "added to each count of a category (>= 0)", TypeConverters.toFloat)

    @constructor
    def __init__(
        self,
        *,
        varSmoothing: float = 1e-9,
        alpha: float = 1.0,
        secure: bool = False,
        siloCol: str = "silo",
        minSilos: int = 1,
        federationDir: str | None = None,
        featuresCols: Sequence[str] | None = None,
        categoricalCols: Sequence[str] | None = None,
        keyCol: str | None = None,
        featuresCol: str = "features",
        labelCol: str = "label",
        weightCol: str | None = None,
        modelDir: str | None = None,
        overwrite: bool = False,
        resume: bool = False,
        predictionCol: str = "prediction",
        seed: int = 0,
        predictedLabelCol: str = "predictedLabel",
        probabilityCol: str = "probability",
        rawPredictionCol: str = "rawPrediction",
    ) -> None: ...

    def _check_params(self) -> None:
        for name in ("varSmoothing", "alpha"):
            value = self.getOrDefault(self.getParam(name))
            if not value >= 0:
                raise ConfigurationError("invalid_param", f"{name} must be >= 0. Got {value}.")

    def _plan(self) -> dict[str, Any]:
        return {name: self.getOrDefault(self.getParam(name)) for name in _NAMES}

    def _fit_silos(self, federation: Federation, folder: Folder) -> VotingClassificationModel:
        begun = time.perf_counter()
        fitted = federated_naive_bayes(
            federation,
            var_smoothing=self.getOrDefault(self.varSmoothing),
            alpha=self.getOrDefault(self.alpha),
            minimum=self.getOrDefault(self.minSilos),
            secure=self._sum_protocol(),
        )
        traits = Traits.of(fitted)
        record = {"member": 0, "learner": traits.name, **member_traits(traits, None)}
        # The moments are exact in double precision, and rows are scored in it.
        record["dtype"] = "float64"
        records = [store_member(folder, "member-00000", fitted, record)]
        seconds = round(time.perf_counter() - begun, 3)
        told = {"member": 0, "learner": traits.name, "seconds": seconds, "task_seconds": seconds}
        return VotingClassificationModel(
            folder,
            federation.schema.features,
            federation.schema.label,
            member_files(folder, records),
            voting_content(records, [1.0], "soft"),
            {"members": [told], "seconds": {"fit": seconds}},
        )
