"""Scores rows with the network of a `KerasModel`; returns its outputs as a column or a struct."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.cluster.iterator_udf import iterator_udf
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.dataset.column_names import with_output
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.deep.network.output_facts import Output, OutputFacts
from sparkml_dist.deep.scoring.forward import forward
from sparkml_dist.deep.scoring.scorer import NetworkFile, task_cpus
from sparkml_dist.models.scoring import check_feature_columns, loaded

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["OutputScorer", "score_outputs"]


@dataclass(frozen=True)
class OutputScorer(NetworkFile):
    """A network with any outputs, in the form that is sent to the workers.

    Attributes
    ----------
    facts : OutputFacts
    """

    facts: OutputFacts

    @property
    def cache_key(self) -> str:
        """Identifies the model within a worker."""
        return f"keras-outputs/{self.sha256}"

    def load(self) -> Callable[[Any], list[npt.NDArray[Any]]]:
        """Return a function from features (n, d) to one array of shape (n, …) for each output.

        Raises
        ------
        StorageError
            ``file_altered`` or ``network_not_loaded``.
        """
        run = forward(self.network(task_cpus()), self.inputs)
        # tf.nest.flatten returns a dict's values in the order of its sorted keys.
        names = [o.name for o in self.facts.outputs]
        order = [
            sorted(names).index(n) if self.facts.kind == "dict" else i for i, n in enumerate(names)
        ]

        def predict(X: Any) -> list[npt.NDArray[Any]]:
            found = [np.empty((X.shape[0], o.size), np.float32) for o in self.facts.outputs]
            for rows, outputs in run(X):
                for array, place in zip(found, order, strict=True):
                    array[rows] = outputs[place].reshape(len(outputs[place]), -1)
            return found

        return predict


def score_outputs(
    df: DataFrame,
    schema: FeatureSchema,
    scorer: OutputScorer,
    prediction: str,
    *,
    cpus: int = 1,
) -> DataFrame:
    """Return `df` with a column of the network's outputs, lazily.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    schema : FeatureSchema
        Encoding of the network's features.
    scorer : OutputScorer
    prediction : str
        Name of the column: a double for one number per row, an array of floats for several
        (row-major), and for several outputs a struct of these with the outputs' names.
    cpus : int, default=1
        Cores that a task owns.

    Returns
    -------
    pyspark.sql.DataFrame
    """
    from pyspark.sql import functions as F

    check_feature_columns(df, schema)
    carried = schema.n_transported
    outputs = scorer.facts.outputs
    several = scorer.facts.kind != "single"

    def predict(batches: Iterator[pa.Array]) -> Iterator[pa.Array]:
        model = loaded(scorer.cache_key, scorer.load)
        with limit_threads(cpus):
            for batch in batches:
                features = schema.encode([batch.field(i) for i in range(carried)])
                arrays = [_column(o, a) for o, a in zip(outputs, model(features), strict=True)]
                if several:
                    yield pa.StructArray.from_arrays(arrays, [o.name for o in outputs])
                else:
                    yield arrays[0]

    kinds = ["double" if o.is_number else "array<float>" for o in outputs]
    fields = ", ".join(f"`{o.name}`: {k}" for o, k in zip(outputs, kinds, strict=True))
    udf = iterator_udf(predict, f"struct<{fields}>" if several else kinds[0])
    return with_output(df, prediction, udf(F.struct(*schema.transport())))


def _column(output: Output, values: npt.NDArray[np.float32]) -> pa.Array:
    if output.is_number:
        return pa.array(values[:, 0].astype(np.float64))
    rows, width = values.shape
    offsets = np.arange(0, (rows + 1) * width, width, dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.ravel()))
