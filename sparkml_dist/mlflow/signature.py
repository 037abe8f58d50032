"""The signature of a model: the columns that it needs, and those that it adds, with their types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparkml_dist.models.shard_model import ShardModel

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["signature_of"]

# Spark's types to MLflow's.
_SOURCES = {
    **dict.fromkeys(("byte", "short", "integer", "long"), "long"),
    "float": "float",
    "double": "double",
    "boolean": "boolean",
    "string": "string",
}
_LABELS = {"integer": "long", "number": "double", "string": "string", "boolean": "boolean"}


def signature_of(model: Any, df: DataFrame | None = None) -> Any:
    """Return a model's signature by what it knows of its columns; no row is read.

    Parameters
    ----------
    model : Persistable
    df : DataFrame, optional
        The training data, whose schema tells the types of the columns.

    Returns
    -------
    mlflow.models.ModelSignature or None
        None for a model of tables, such as rules, or of columns whose type MLflow lacks.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import Schema

    if isinstance(model, ShardModel):
        inputs = [(c.name, c.kind) for c in model.schema.columns]
    elif hasattr(getattr(model, "columns", None), "names"):
        kind = model.columns.kind
        inputs = [(name, kind) for name in model.columns.names]
    else:
        return None
    if any(kind == "struct" for _, kind in inputs):
        return None
    types = {} if df is None else {f.name: f.dataType.typeName() for f in df.schema.fields}
    columns = [_column(name, kind, types.get(name)) for name, kind in inputs]
    return ModelSignature(inputs=Schema(columns), outputs=Schema(_outputs(model)))


def _column(name: str, kind: str, source: str | None) -> Any:
    from mlflow.types.schema import AnyType, Array, ColSpec, DataType, SparkMLVector

    if kind == "array":
        return ColSpec(Array(DataType.double), name)
    if kind == "vector":
        return ColSpec(SparkMLVector(), name)
    # A model alone does not know whether numbers are whole, or categories texts; of a column of
    # doubles MLflow refuses a pandas column of integers.
    known = _SOURCES.get(source or "")
    return ColSpec(DataType[known] if known else AnyType(), name)


def _outputs(model: Any) -> list[Any]:
    from mlflow.types.schema import Array, ColSpec, DataType

    found = [ColSpec(DataType.double, _named(model, "predictionCol") or "prediction")]
    if probability := _named(model, "probabilityCol"):
        found.append(ColSpec(Array(DataType.double), probability))
    predicted = _named(model, "predictedLabelCol")
    if predicted and isinstance(model, ShardModel) and model.label.predicted_type:
        found.append(ColSpec(DataType[_LABELS[model.label.kind]], predicted))
    if score := _named(model, "scoreCol"):
        found.append(ColSpec(DataType.double, score))
    return found


def _named(model: Any, param: str) -> str:
    return str(model.getOrDefault(param)) if model.hasParam(param) else ""
