"""What a silo reads its rows from: blocks in memory, or shards on its disk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from sparkml_dist.dataset import Block, PartitionedDataset
from sparkml_dist.dataset.labels import Label, LabelKind
from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema
from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.federated.schema import FederatedSchema

__all__ = ["BlockData", "ShardData", "SiloData"]

# A shard is read as a whole up to this size as float64, and one row group at a time beyond it.
_BLOCK_BYTES = 64 << 20
_KINDS: dict[str, LabelKind] = {"i": "integer", "u": "integer", "b": "boolean", "f": "number"}


class SiloData(ABC):
    """Rows of one silo, in its own order of columns, categories and classes.

    Attributes
    ----------
    schema : FederatedSchema
        The silo's own.
    n_rows : int
    """

    schema: FederatedSchema
    n_rows: int

    @abstractmethod
    def blocks(self) -> Iterator[Block]:
        """Yield the rows in blocks that fit memory, always in the same order."""


class ShardData(SiloData):
    """Rows of a partitioned data set, streamed.

    Parameters
    ----------
    dataset : PartitionedDataset
    """

    def __init__(self, dataset: PartitionedDataset) -> None:
        self._dataset = dataset
        manifest = dataset.manifest
        self.schema = FederatedSchema(manifest.schema, manifest.label, manifest.weight)
        self.n_rows = dataset.n_rows

    def blocks(self) -> Iterator[Block]:
        """Yield a block for each shard, or for each row group of a large one."""
        kind = self._dataset.schema.dtype
        for shard in self._dataset.shards:
            if 2 * shard.block_bytes <= _BLOCK_BYTES:
                groups: list[list[int] | None] = [None]
            else:
                groups = [[group] for group in range(len(shard.row_groups))]
            for group in groups:
                yield self._dataset.read_block(shard.index, group, dtype=kind)


class BlockData(SiloData):
    """Rows in memory.

    Parameters
    ----------
    X : array-like or csr_matrix, shape (n, d)
        Numbers; the codes of categorical features.
    y : array-like of shape (n,)
        Labels, or targets for a regression.
    weight : array-like of shape (n,), optional
    regression : bool, default=False
    names : sequence of str, optional
        Names of the features, ``x0``, ``x1``, … by default.
    label : str, default="label"
    classes : sequence, optional
        Class list; `y` holds their positions then.
    categories : mapping of str to sequence of str, optional
        Categories of features, in the order of their codes.
    """

    def __init__(
        self,
        X: Any,
        y: Any,
        weight: Any = None,
        *,
        regression: bool = False,
        names: Sequence[str] | None = None,
        label: str = "label",
        classes: Sequence[Any] | None = None,
        categories: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        matrix = X.tocsr().astype(float) if sp.issparse(X) else np.array(X, float, order="C")
        if matrix.ndim != 2 or np.ndim(y) != 1 or matrix.shape[0] != len(y):
            raise DataError(
                "input_not_taken",
                f"X of shape {np.shape(X)} and y of shape {np.shape(y)} are no rows of a silo.",
                "Give X of shape (n, d) and y of shape (n,).",
            )
        columns = [f"x{i}" for i in range(matrix.shape[1])] if names is None else list(names)
        if len(columns) != matrix.shape[1]:
            raise ConfigurationError(
                "invalid_param",
                f"{len(columns)} names are given for {matrix.shape[1]} features.",
                "Name each feature once.",
            )
        known = categories or {}
        schema = FeatureSchema.build(
            [
                FeatureColumn(name, "categorical", categories=tuple(known[name]))
                if name in known
                else FeatureColumn(name, "numeric")
                for name in columns
            ],
            sparse=bool(sp.issparse(matrix)),
            precision="float64",
        )
        codes, target = _labels(np.asarray(y), regression, label, classes)
        self.schema = FederatedSchema(schema, target, "weight" if weight is not None else None)
        self.n_rows = len(codes)
        own = None if weight is None else np.asarray(weight, np.float32)
        self._block = Block(matrix, codes, own, np.arange(len(codes), dtype=np.int64))

    def blocks(self) -> Iterator[Block]:
        """Yield all rows as one block; nothing for an empty silo."""
        if self.n_rows:
            yield self._block


def _labels(
    y: npt.NDArray[Any], regression: bool, name: str, classes: Sequence[Any] | None
) -> tuple[npt.NDArray[Any], Label]:
    if regression:
        return y.astype(np.float64), Label(name, "target")
    if classes is not None:
        kind = _KINDS.get(np.asarray(classes).dtype.kind, "string")
        return y.astype(np.int32), Label(name, kind, tuple(classes))
    kind = _KINDS.get(y.dtype.kind, "string")
    # An empty list of labels is of floats for numpy: it fits labels of any kind.
    found, codes = np.unique(y.astype(str) if kind == "string" else y, return_inverse=True)
    return codes.astype(np.int32).reshape(-1), Label(name, kind, tuple(found.tolist()))
