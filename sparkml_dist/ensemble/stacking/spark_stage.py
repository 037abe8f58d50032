"""A Spark ML stage as a base learner: its columns are set, and it is saved in Spark's format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sparkml_dist.ensemble.stacking.spark_folder import load_stage, save_stage
from sparkml_dist.ensemble.stacking.spark_rows import FEATURES, LABEL, WEIGHT
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.models.loading import Saved
from sparkml_dist.models.shard_model import ShardModel
from sparkml_dist.persistence.filesystem import Folder

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = [
    "class_codes",
    "describe",
    "is_stage",
    "output",
    "ready",
    "refuse_stage",
    "save_stages",
    "stored_stages",
]

_OUTPUTS = {
    "predictionCol": "prediction",
    "probabilityCol": "probability",
    "rawPredictionCol": "rawPrediction",
}


def is_stage(learner: Any) -> bool:
    """Tell whether a base learner is a Spark ML estimator."""
    from pyspark.ml.base import Estimator

    return isinstance(learner, Estimator)


def refuse_stage(name: str, stage: Any, *, regression: bool) -> None:
    """Raise if a Spark ML estimator cannot be a base learner.

    Raises
    ------
    ConfigurationError
        ``no_probabilities`` or ``no_predictions``.
    """
    from pyspark.ml import Pipeline

    last = stage
    while isinstance(last, Pipeline):
        stages = last.getStages()
        last = stages[-1] if stages else None
    wanted = "predictionCol" if regression else "probabilityCol"
    if last is None or not last.hasParam(wanted):
        raise ConfigurationError(
            "no_predictions" if regression else "no_probabilities",
            f"The base learner {name!r}, a {type(stage).__name__}, has no {wanted}.",
            "Use a Spark ML estimator that has it.",
        )


def ready(stage: Any, *, weighted: bool) -> Any:
    """Return a copy that reads and writes the columns of base learners.

    The stages of a pipeline are not changed: the first must read ``features``, the last ``label``.
    """
    settings = {"featuresCol": FEATURES, "labelCol": LABEL} | _OUTPUTS
    if weighted:
        settings["weightCol"] = WEIGHT
    known = {p.name for p in stage.params}
    copy = stage.copy({stage.getParam(k): v for k, v in settings.items() if k in known})
    for name in ("modelDir", "shardsDir"):  # each fit needs a folder of its own
        if name in known:
            copy.clear(copy.getParam(name))
    return copy


def describe(value: Any) -> Any:
    """Return JSON values that identify a Spark ML estimator, the same in every process."""
    from pyspark.ml.param import Params

    if isinstance(value, Params):
        params = {
            p.name: describe(value.getOrDefault(p)) for p in value.params if value.isDefined(p)
        }
        return {"type": type(value).__name__, "params": params}
    if isinstance(value, list | tuple):
        return [describe(v) for v in value]
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return repr(value)


def class_codes(model: Any) -> list[int] | None:
    """Return the class codes of a model's probabilities; None if the model does not have them."""
    if isinstance(model, ShardModel) and not model.label.is_regression:
        return [int(c) for c in model.label.classes]
    return None


def output(scored: DataFrame, name: str, codes: Sequence[int] | None, n_classes: int) -> Column:
    """Return a base learner's output as an array of floats: probabilities, or one prediction.

    Parameters
    ----------
    scored : pyspark.sql.DataFrame
        Rows that the base learner has transformed.
    name : str
        Name of the base learner, for messages.
    codes : sequence of int or None
        Class codes of its probabilities; other classes get 0.
    n_classes : int
        0 for a regression.
    """
    from pyspark.ml.functions import vector_to_array
    from pyspark.sql import functions as F

    column = "probability" if n_classes else "prediction"
    if column not in scored.columns:
        raise ConfigurationError(
            "no_probabilities" if n_classes else "no_predictions",
            f"The base learner {name!r} returns no column {column!r}.",
            "Its last stage must write to the default columns of Spark ML.",
        )
    if not n_classes:
        return F.array(F.col(column).cast("float"))
    probabilities = vector_to_array(F.col(column), "float32")
    if codes is None or list(codes) == list(range(n_classes)):
        return probabilities
    zero = F.lit(0.0).cast("float")
    at = {code: i for i, code in enumerate(codes)}
    padded = [F.get(probabilities, F.lit(at[k])) if k in at else zero for k in range(n_classes)]
    return F.array(*padded)


def save_stages(folder: Folder, stages: dict[str, Any]) -> None:
    """Save unfitted stages, by name, into a folder."""
    for name, stage in stages.items():
        save_stage(stage, folder, f"stage-{name}")


def stored_stages(saved: Saved, names: Sequence[str]) -> dict[str, Any]:
    """Return the stages among `names` that `save_stages` saved."""
    return {
        name: load_stage(saved.folder, f"stage-{name}", saved.files, saved.trusted)
        for name in names
        if saved.names(head=f"stage-{name}/")
    }
