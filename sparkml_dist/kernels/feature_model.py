"""Fitted transformers of rows into kernel features."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.ml.base import Model
from pyspark.ml.param.shared import HasOutputCol

from sparkml_dist.cluster.iterator_udf import iterator_udf
from sparkml_dist.cluster.joined_batches import joined_batches
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.dataset.column_names import check_outputs, with_outputs
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.html.summary import Row, ShowsItself, listed, numbers
from sparkml_dist.kernels.functions.families import kernel_from_dict
from sparkml_dist.kernels.functions.kernel import Floats, Kernel
from sparkml_dist.kernels.scaling import Scaling
from sparkml_dist.models.loading import Saved
from sparkml_dist.models.persistable import Persistable
from sparkml_dist.models.scoring import check_feature_columns
from sparkml_dist.params import AccessibleParams
from sparkml_dist.persistence.arrays import check_array, read_array, write_array
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["KernelFeaturesModel", "KernelSpaceModel", "scaling_arrays", "scaling_of"]

_ROWS_AT_ONCE = 4096
_MADE = "_sparkml_dist_features"


def scaling_arrays(scaling: Scaling) -> dict[str, Any]:
    """Return a scaling as arrays to save."""
    found = {"mean": scaling.mean, "scale": scaling.scale}
    return found if scaling.fill is None else {**found, "fill": scaling.fill}


def scaling_of(arrays: dict[str, Any], counts: Sequence[int]) -> Scaling:
    """Return the scaling of saved arrays, for features of which each has a number of categories.

    Raises
    ------
    StorageError
        ``array_damaged``.
    """
    width = sum(max(1, count) for count in counts)
    for name in ("mean", "scale"):
        check_array(arrays, name, (width,))
    if "fill" in arrays:
        check_array(arrays, "fill", (len(counts),))
    kept = tuple(counts) if any(counts) else ()
    return Scaling(arrays["mean"], arrays["scale"], arrays.get("fill"), kept)


class KernelSpaceModel(ShowsItself, Persistable, AccessibleParams, Model):
    """Base of the models in the space of a kernel that need no label.

    Attributes
    ----------
    schema : FeatureSchema
        Encoding of columns as features.
    kernel : Kernel
    scaling : Scaling
        Standardization of the features.
    arrays : dict of ndarray
        What else the model consists of.
    summary : dict
        Facts about the fit.
    """

    def __init__(
        self,
        schema: FeatureSchema,
        kernel: Kernel,
        scaling: Scaling,
        arrays: dict[str, Any],
        summary: dict[str, Any],
    ) -> None:
        super().__init__()
        self.schema = schema
        self.kernel = kernel
        self.scaling = scaling
        self.arrays = arrays
        self.summary = summary

    @property
    def numFeatures(self) -> int:
        """Number of features of a row."""
        return self.schema.n_features

    @property
    def lengthScale(self) -> float:
        """The length scale of the kernel."""
        return self.kernel.length_scale

    def _shown(self) -> Iterator[Row]:
        yield listed("features", self.schema.feature_names)
        yield Row("kernel", self.kernel.name, f"length scale {self.lengthScale:.4g}")
        shapes = [f"{n} {' × '.join(map(str, a.shape))}" for n, a in self.arrays.items()]
        yield Row("arrays", ", ".join(shapes))
        facts = {
            k: v
            for k, v in self.summary.items()
            if isinstance(v, int | float) and not isinstance(v, bool)
        }
        yield Row("fit", numbers(facts, ",.6g"))

    @abstractmethod
    def _check_arrays(self) -> None:
        """Raise ``array_damaged`` unless the arrays are those of such a model."""

    def _state(self) -> dict[str, Any]:
        return {
            "features": self.schema.to_dict(),
            "kernel": self.kernel.to_dict(),
            "summary": self.summary,
        }

    def _write_files(self, folder: Folder) -> Sequence[ModelFile]:
        arrays = {**self.arrays, **scaling_arrays(self.scaling)}
        for name, array in arrays.items():
            write_array(folder, f"{name}.npy", array)
        return [ModelFile.of(folder, f"{name}.npy") for name in arrays]

    @classmethod
    def _restore(cls, saved: Saved) -> Self:
        state = saved.state
        schema = FeatureSchema.from_dict(state["features"])
        arrays = {
            name.removesuffix(".npy"): read_array(saved.folder, saved.listed(name))
            for name in saved.names(suffix=".npy")
        }
        scaling = scaling_of(arrays, schema.category_counts())
        for name in ("mean", "scale", "fill"):
            arrays.pop(name, None)
        kernel = kernel_from_dict(state["kernel"])
        model = cls(schema, kernel, scaling, arrays, dict(state["summary"]))
        model._check_arrays()
        return model


class KernelFeaturesModel(KernelSpaceModel, HasOutputCol):
    """Base of the fitted transformers; ``transform`` adds `outputCol`, a vector."""

    _defaults: ClassVar[dict[str, Any]] = {"outputCol": "kernelFeatures"}

    @property
    @abstractmethod
    def numOutputs(self) -> int:
        """Number of features that the model makes of a row."""

    @abstractmethod
    def _map(self) -> Callable[[Any], Floats]:
        """Return the function from features (n, d) to kernel features (n, p)."""

    def features(self, rows: Any) -> npt.NDArray[np.float64]:
        """Return the kernel features of rows in memory.

        Parameters
        ----------
        rows : array-like, shape (n, d)

        Returns
        -------
        ndarray of float64, shape (n, numOutputs)
        """
        return np.asarray(self._map()(np.asarray(rows, np.float64)), np.float64)

    def _transform(self, dataset: DataFrame) -> DataFrame:
        from pyspark.ml.functions import array_to_vector
        from pyspark.sql import functions as F

        check_feature_columns(dataset, self.schema)
        schema, features, width = self.schema, self._map(), self.numOutputs
        cores = SessionInfo.of(dataset.sparkSession).task_cpus
        carried = schema.n_transported

        def make(batches: Iterator[pa.Array]) -> Iterator[pa.Array]:
            with limit_threads(cores):
                for batch in joined_batches(batches, _ROWS_AT_ONCE):
                    rows = schema.encode([batch.field(i) for i in range(carried)])
                    found = np.ascontiguousarray(features(rows), np.float64)
                    offsets = np.arange(0, found.size + 1, width, dtype=np.int32)
                    yield pa.ListArray.from_arrays(pa.array(offsets), pa.array(found.ravel()))

        output = self.getOrDefault(self.outputCol)
        check_outputs(dataset, [output])
        made = iterator_udf(make, "array<double>")(F.struct(*schema.transport()))
        with_made = dataset.select("*", made.alias(_MADE))
        return with_outputs(with_made, {output: array_to_vector(F.col(_MADE))}, temporary=[_MADE])

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.kernel!r}, {self.numFeatures:,} features to "
            f"{self.numOutputs:,})"
        )
