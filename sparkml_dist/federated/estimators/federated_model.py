"""Models that a federation has trained."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

from sparkml_dist.errors import ConfigurationError, TrainingError
from sparkml_dist.federated.estimators.model_files import FederatedScorer
from sparkml_dist.models.classification_model import ShardClassificationModel
from sparkml_dist.models.regression_model import ShardRegressionModel
from sparkml_dist.models.shard_model import ShardModel
from sparkml_dist.persistence.model_folder import ModelFile
from sparkml_dist.report.fitted_model import FittedModel

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "LEDGER",
    "FederatedClassificationModel",
    "FederatedModel",
    "FederatedRegressionModel",
    "record_of",
]

#: File of the ledger.
LEDGER = "ledger.parquet"


class FederatedModel(FittedModel, ShardModel):
    """A model that silos have trained together; see `ShardModel` for the other attributes.

    Attributes
    ----------
    rounds : pandas.DataFrame
        A row for each round: ``round``, ``silos`` (how many updates are used), ``failed`` (error
        codes by silo), ``steps`` and ``loss`` (means over silos), and where it was evaluated
        metrics over all silos' rows, ``worstSilo`` and ``siloDeviation``.
    silos : pandas.DataFrame
        Metrics of the last evaluation of each silo.
    epsilon : float or None
        Privacy loss, where the training was differentially private.
    personalModels : dict of str to model
        Silos' own models, where they were collected.
    """

    @property
    def rounds(self) -> pd.DataFrame:
        """The history of the training, a row for each round."""
        import pandas as pd

        table = pd.DataFrame(self.summary["rounds"])
        if "silos" in table:
            table["silos"] = table["silos"].map(len)
        return table

    @property
    def silos(self) -> pd.DataFrame:
        """Metrics of each silo in the last evaluation."""
        import pandas as pd

        found = [{"silo": name, **metrics} for name, metrics in self.summary["silos"].items()]
        return pd.DataFrame(found)

    @property
    def epsilon(self) -> float | None:
        """Privacy loss ε at ``delta``; None where the training was not private."""
        found: float | None = self.summary["epsilon"]
        return found

    @property
    def personalModels(self) -> dict[str, Any]:
        """Models of silos by name, with the columns of this one."""
        return {name: self._own(record) for name, record in self.content["personal"].items()}

    def audit(self) -> pd.DataFrame:
        """Return the ledger of the training; see `Federation.audit`."""
        import pandas as pd

        return pd.read_parquet(io.BytesIO(self.folder.read_bytes(LEDGER)))

    def to_keras(self) -> Any:
        """Return the network as a Keras model, loaded into this process.

        Raises
        ------
        ConfigurationError
            ``not_kept`` for a model that is no network.
        """
        from sparkml_dist.deep.scoring.scorer import load_network

        file = self.content["parameters"]
        if not file["file"].endswith(".keras"):
            raise ConfigurationError(
                "not_kept",
                f"The model {self.content['model']['kind']!r} is no network.",
                "Hand it over with to_sklearn().",
            )
        return load_network(self.folder, file["file"], file["sha256"], os.cpu_count() or 1)

    def _own(self, record: dict[str, Any]) -> Any:
        file = next(f for f in self.files if f.name == record["file"])
        content = {**self.content, "parameters": record, "personal": {}}
        own = type(self)(self.folder, self.schema, self.label, [file], content, self.summary)
        for value in self.params:
            if self.isSet(value):
                own._set(**{value.name: self.getOrDefault(value)})
        return own

    def _scorer(self) -> FederatedScorer:
        return self._scorer_of(self.content["parameters"])

    def _scorer_of(self, record: dict[str, Any]) -> FederatedScorer:
        file = next((f for f in self.files if f.name == record["file"]), None)
        if file is None:
            raise ValueError(f"{record['file']!r} is not among its files")
        return FederatedScorer(
            self.folder, file, self.content["model"], self.content["standardization"]
        )

    def _check_restored(self) -> None:
        try:
            for record in (self.content["parameters"], *self.content["personal"].values()):
                self._scorer_of(record).check()
        except TrainingError as error:
            raise ValueError(error.message) from error


class FederatedClassificationModel(FederatedModel, ShardClassificationModel):
    """The model of `FederatedClassifier`; see `FederatedModel` for the attributes."""


class FederatedRegressionModel(FederatedModel, ShardRegressionModel):
    """The model of `FederatedRegressor`; see `FederatedModel` for the attributes."""


def record_of(file: ModelFile) -> dict[str, Any]:
    """Return a file as a record of a model's content."""
    return {"file": file.name, "sha256": file.sha256}
