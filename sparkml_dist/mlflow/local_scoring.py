"""Scoring of pandas and Spark DataFrames by a logged model, as MLflow's ``pyfunc`` calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.mlflow.staging import within_reach
from sparkml_dist.models.loading import load_model
from sparkml_dist.models.local import LocalClassifier
from sparkml_dist.models.shard_model import ShardModel
from sparkml_dist.session import get_session

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ScoringModel"]


class ScoringModel:
    """A loaded model with the ``predict`` of MLflow's ``pyfunc``.

    Attributes
    ----------
    model : Model
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self._local: Any = None

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """Return the columns that the model's `transform` adds.

        Parameters
        ----------
        model_input : pandas.DataFrame or pyspark.sql.DataFrame
            The rows of a pandas DataFrame are scored in this process; a model that has no local
            form (clusters, outliers, rules) needs a session for them.
        params : dict, optional
            There are none.

        Returns
        -------
        pandas.DataFrame or pyspark.sql.DataFrame
            For pandas, the added columns, with the index of the input; for Spark, the input's
            columns too.

        Raises
        ------
        DataError
        ConfigurationError
            ``invalid_param`` for `params`.
        """
        if params:
            raise ConfigurationError("invalid_param", f"A model takes no params. Got {params!r}.")
        if hasattr(model_input, "sparkSession"):
            return self.model.transform(model_input)
        if self._local_form() is not None:
            return self._score(model_input)
        import pandas as pd

        rows = get_session().createDataFrame(pd.DataFrame(model_input))
        scored = self.model.transform(rows)
        # The rows are the caller's own, and came from this process.
        found = scored.toPandas().drop(columns=rows.columns)
        return found.set_axis(model_input.index) if hasattr(model_input, "index") else found

    def _local_form(self) -> Any:
        """Return the model for this process; None where it only predicts in Spark."""
        if self._local is None and isinstance(self.model, ShardModel):
            try:
                self._local = self.model.to_sklearn()
            except ConfigurationError as error:
                if error.code != "no_local_form":
                    raise
        return self._local

    def _score(self, rows: Any) -> pd.DataFrame:
        import numpy as np
        import pandas as pd

        model: Any = self.model
        index = getattr(rows, "index", None)
        if not isinstance(self._local, LocalClassifier):
            scores = self._local.predict(rows)
            values = {model.getOrDefault("predictionCol"): scores} if scores.ndim == 1 else {}
            return pd.DataFrame(values or {"outputs": list(scores)}, index=index)
        probability = self._local.predict_proba(rows)
        best = probability.astype(np.float32).argmax(axis=1)
        label = model.label
        columns = {
            "predictionCol": label.class_values()[best],
            "probabilityCol": list(probability),
        }
        if label.predicted_type is not None:
            columns["predictedLabelCol"] = np.asarray(label.classes)[best]
        named = {model.getOrDefault(param): values for param, values in columns.items()}
        return pd.DataFrame({n: v for n, v in named.items() if n}, index=index)


def _load_pyfunc(path: str) -> ScoringModel:
    """Open the saved folder that MLflow has fetched; MLflow calls it by this name.

    Raises
    ------
    StorageError
        ``file_altered`` and the others of loading a model.
    """
    from pathlib import Path

    return ScoringModel(load_model(within_reach(Path(path), None).location))
