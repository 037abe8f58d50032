"""A partitioned data set: shards on disk and the manifest that describes them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.manifest import Manifest, ShardInfo
from sparkml_dist.dataset.reader import locate, read_block
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.errors import StorageError
from sparkml_dist.html.summary import Row, ShowsItself
from sparkml_dist.html.values import memory
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["PartitionedDataset", "open_partitioned"]

_SHOWN_CLASSES = 8


@dataclass(frozen=True)
class PartitionedDataset(ShowsItself):
    """Shards that are each a fair random sample of the whole; small enough to be pickled.

    Attributes
    ----------
    folder : Folder
        Folder of the manifest.
    manifest : Manifest

    Examples
    --------
    >>> again = open_partitioned(data.location)
    >>> blocks = [again.read_block(shard) for shard in range(len(again.shards))]
    >>> sum(len(block.X) for block in blocks), blocks[0].X.shape[1]
    (150, 4)
    """

    folder: Folder
    manifest: Manifest

    @property
    def location(self) -> str:
        """Path or URI of the data set."""
        return self.folder.location

    @property
    def schema(self) -> FeatureSchema:
        """The columns and their encoding as features."""
        return self.manifest.schema

    @property
    def layout(self) -> str:
        """``"columns"``, ``"dense"`` or ``"sparse"``."""
        return self.manifest.schema.layout

    @property
    def shards(self) -> Sequence[ShardInfo]:
        """The shards, in order."""
        return self.manifest.shards

    @property
    def classes(self) -> list[Any] | None:
        """The global class list; None for a regression."""
        return None if self.manifest.label.is_regression else list(self.manifest.label.classes)

    @property
    def n_rows(self) -> int:
        """Rows in all shards."""
        return self.manifest.rows

    @property
    def n_features(self) -> int:
        """Number of features of a row."""
        return self.manifest.schema.n_features

    @property
    def feature_names(self) -> list[str]:
        """Names of the features, in matrix order."""
        return self.manifest.schema.feature_names

    def read_block(
        self,
        shard: int | Sequence[int],
        row_groups: Sequence[int] | None = None,
        *,
        features: Sequence[int] | None = None,
        dtype: npt.DTypeLike = np.float32,
        verify: bool = True,
    ) -> Block:
        """Read one shard, several shards, or row groups of one shard into memory.

        Parameters
        ----------
        shard : int or sequence of int
            Shards to read.
        row_groups : sequence of int, optional
            Row groups of a single shard; all by default.
        features : sequence of int, optional
            Features to read, in this order; all by default.
        dtype : dtype, default=float32
            Type of a dense matrix.
        verify : bool, default=True
            Check the file's size, its footer and its page checksums against the manifest.

        Returns
        -------
        Block
            ``X`` of shape (rows, n_features), C-contiguous, or CSR for the sparse layout.

        Raises
        ------
        StorageError
            A shard is missing, truncated or altered.
        """
        shards = [shard] if isinstance(shard, int | np.integer) else list(shard)
        return read_block(
            self.folder,
            self.manifest,
            [int(s) for s in shards],
            row_groups=row_groups,
            features=features,
            dtype=dtype,
            verify=verify,
        )

    def verify(self) -> None:
        """Read every byte of every shard and compare its SHA-256 checksum with the manifest.

        Raises
        ------
        StorageError
            ``file_altered``, naming the first shard that differs.
        """
        for info in self.shards:
            home, name = locate(self.folder, info)
            if home.sha256(name) != info.sha256:
                raise StorageError(
                    "file_altered",
                    f"Shard {info.index} ({home.uri(name)!r}) does not match its SHA-256 checksum.",
                    "Restore the file, or partition the data again.",
                )

    def _shown(self) -> Iterator[Row]:
        label, shards = self.manifest.label, self.shards
        yield Row("rows", f"{self.n_rows:,}")
        categories = len(self.schema.categorical_features)
        some = f", {categories:,} of them categories" if categories else ""
        yield Row("features", f"{self.n_features:,}{some}", f"({self.layout})")
        if self.classes is None:
            yield Row("label", ", a number", code=[label.column])
        else:
            yield Row("label", f", {len(self.classes):,} classes", code=[label.column])
            more = len(self.classes) - _SHOWN_CLASSES
            quiet = f"the {_SHOWN_CLASSES} most frequent" if more > 0 else ""
            yield Row("classes", quiet=quiet, shares=self._class_rows()[:_SHOWN_CLASSES])
        if missing := sum(shard.missing for shard in shards):
            yield Row("missing values", f"{missing:,}")
        if shards:
            rows = sorted({min(s.rows for s in shards), max(s.rows for s in shards)})
            most = max(s.block_bytes for s in shards)
            yield Row(
                "shards",
                f"{len(shards):,}, of {' to '.join(f'{n:,}' for n in rows)} rows",
                f"(up to {memory(most)} in memory)",
            )
        yield Row("folder", code=[self.location])

    def _class_rows(self) -> list[tuple[str, int]]:
        """Return the classes and their rows, the most frequent first."""
        counts = [shard.class_rows for shard in self.shards if shard.class_rows]
        rows = np.sum(counts, axis=0).tolist() if counts else []
        found = zip(map(str, self.manifest.label.classes), map(int, rows), strict=False)
        return sorted(found, key=lambda item: -item[1])

    def __repr__(self) -> str:
        kind = "regression" if self.classes is None else f"{len(self.classes)} classes"
        return (
            f"PartitionedDataset({self.location!r}: {self.n_rows:,} rows × {self.n_features:,} "
            f"features, {kind}, {len(self.shards)} shards, {self.layout})"
        )


def open_partitioned(path: str | os.PathLike[str], *, adopted: bool = False) -> PartitionedDataset:
    """Open a data set that `partition` or `adopt` made.

    Parameters
    ----------
    path : str or path-like
        Local path or URI.
    adopted : bool, default=False
        Whether files may be outside the folder, as those of `adopt` are. The files that the
        manifest names are then read from anywhere: use it for your own data sets only.

    Returns
    -------
    PartitionedDataset

    Raises
    ------
    StorageError
        There is no data set, or its manifest is damaged, altered or of a newer protocol;
        ``adopted_elsewhere`` where files are outside the folder and `adopted` is False;
        ``name_outside_folder``.
    """
    folder = Folder.at(path)
    return PartitionedDataset(folder, Manifest.read(folder, adopted=adopted))
