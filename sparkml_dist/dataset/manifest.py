"""The manifest of a partitioned data set: everything about it that is not a row."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.seal import check_sealed, reading_fields, sealed

__all__ = ["MANIFEST", "PROTOCOL", "Manifest", "ShardInfo"]

MANIFEST = "manifest.json"
FORMAT = "sparkml_dist.dataset"
PROTOCOL = 1


@dataclass(frozen=True)
class ShardInfo:
    """One shard: a Parquet file whose rows are a fair random sample of the whole.

    Attributes
    ----------
    index : int
        Position among the shards.
    file : str
        Name inside the data set's folder, or an absolute location for an adopted file.
    rows : int
    bytes : int
        Size of the file.
    block_bytes : int
        Size of the whole shard as a float32 block in memory.
    sha256 : str
        Of the whole file.
    footer_sha256 : str
        Of the Parquet footer, which is checked at every reading; the pages carry checksums.
    row_groups : tuple of int
        Rows of each Parquet row group.
    class_rows : tuple of int
        Rows of each class; empty for a regression.
    missing : int
        Feature values that are NaN.
    """

    index: int
    file: str
    rows: int
    bytes: int
    block_bytes: int
    sha256: str
    footer_sha256: str
    row_groups: tuple[int, ...]
    class_rows: tuple[int, ...] = ()
    missing: int = 0

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> ShardInfo:
        """Return the entry that JSON holds."""
        groups, classes = tuple(value["row_groups"]), tuple(value["class_rows"])
        return cls(**{**value, "row_groups": groups, "class_rows": classes})


@dataclass(frozen=True)
class Manifest:
    """What a partitioned data set holds.

    Attributes
    ----------
    schema : FeatureSchema
    label : Label
    weight : str or None
        Name of the weight column.
    key : tuple of str
        Identity columns; empty when rows are identified by content.
    seed : int
    shards : tuple of ShardInfo
    missing_features : tuple of int
        Positions of the features with at least one NaN.
    encoded : bool
        True when shards hold the toolkit's own columns; False when the source's files were
        adopted as they are.
    library_version : str
    """

    schema: FeatureSchema
    label: Label
    weight: str | None
    key: tuple[str, ...]
    seed: int
    shards: tuple[ShardInfo, ...]
    missing_features: tuple[int, ...] = ()
    encoded: bool = True
    library_version: str = ""

    @property
    def rows(self) -> int:
        """Number of rows in all shards."""
        return sum(s.rows for s in self.shards)

    @property
    def content_sha256(self) -> str:
        """Hash of all shards' hashes: equal for data sets with equal content."""
        return hashlib.sha256("\n".join(s.sha256 for s in self.shards).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return the manifest as JSON values."""
        return {
            "format": FORMAT,
            "protocol": PROTOCOL,
            "library_version": self.library_version,
            "rows": self.rows,
            "seed": self.seed,
            "content_sha256": self.content_sha256,
            "encoded": self.encoded,
            "features": self.schema.to_dict(),
            "label": self.label.to_dict(),
            "weight": self.weight,
            "key": list(self.key),
            "missing_features": list(self.missing_features),
            "shards": [asdict(s) for s in self.shards],
        }

    def write(self, folder: Folder) -> None:
        """Write the manifest; from this moment the data set exists."""
        folder.write_json(MANIFEST, sealed(self.to_dict()))

    @classmethod
    def read(cls, folder: Folder) -> Manifest:
        """Read and check the manifest in `folder`.

        Raises
        ------
        StorageError
            ``not_a_dataset``, ``newer_protocol``, ``altered_manifest``, ``damaged_json``.
        """
        if not folder.exists(MANIFEST):
            raise StorageError(
                "not_a_dataset",
                f"There is no partitioned data set in {folder.location!r}.",
                "Cut one with sparkml_dist.partition(df, path, label=…).",
            )
        value = folder.read_json(MANIFEST)
        check_sealed(value, FORMAT, PROTOCOL, folder.uri(MANIFEST))
        with reading_fields(folder.uri(MANIFEST), "Cut the data set anew."):
            return cls(
                schema=FeatureSchema.from_dict(value["features"]),
                label=Label.from_dict(value["label"]),
                weight=value["weight"],
                key=tuple(value["key"]),
                seed=value["seed"],
                shards=tuple(ShardInfo.from_dict(s) for s in value["shards"]),
                missing_features=tuple(value["missing_features"]),
                encoded=value["encoded"],
                library_version=value["library_version"],
            )
