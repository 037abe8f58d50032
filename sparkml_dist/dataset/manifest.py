"""The manifest of a partitioned data set: all its metadata."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.packed_shards import PackedShards
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.dataset.shard_info import ShardInfo
from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.checksums import check_document, reading_fields, with_checksum
from sparkml_dist.persistence.fields import items, natural, text, whole
from sparkml_dist.persistence.filesystem import Folder, is_uri
from sparkml_dist.persistence.names import check_names

__all__ = ["MANIFEST", "PROTOCOL", "Manifest", "ShardInfo"]

MANIFEST = "manifest.json"
FORMAT = "sparkml_dist.dataset"
PROTOCOL = 1

# Bounds of a file's size in memory. Equal rows take almost no bytes in Parquet, but a manifest must
# not be able to request unbounded memory.
_ROOM = 1 << 30
_RATIO = 1000


@dataclass(frozen=True)
class Manifest:
    """The metadata of a partitioned data set.

    Attributes
    ----------
    schema : FeatureSchema
    label : Label
    weight : str or None
        Name of the weight column.
    key : tuple of str
        Identity columns; empty when rows are identified by content.
    seed : int
    shards : sequence of ShardInfo
        A tuple; in arrays (`PackedShards`) in a process to which the manifest was sent.
    missing_features : tuple of int
        Positions of the features with at least one NaN.
    encoded : bool
        True when shards have this library's own columns; False for adopted files of the source.
    library_version : str
    """

    schema: FeatureSchema
    label: Label
    weight: str | None
    key: tuple[str, ...]
    seed: int
    shards: Sequence[ShardInfo]
    missing_features: tuple[int, ...] = ()
    encoded: bool = True
    library_version: str = ""

    @cached_property
    def rows(self) -> int:
        """Number of rows in all shards."""
        if isinstance(self.shards, PackedShards):
            return self.shards.total("rows")
        return sum(s.rows for s in self.shards)

    def __getstate__(self) -> dict[str, Any]:
        return {**{f.name: getattr(self, f.name) for f in fields(self)}, "shards": self._packed}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)

    @cached_property
    def _packed(self) -> PackedShards:
        shards = self.shards
        return shards if isinstance(shards, PackedShards) else PackedShards(shards)

    @cached_property
    def content_sha256(self) -> str:
        """Hash of the checksums of all shards; equal for data sets with equal content."""
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
            "shards": [s.to_dict() for s in self.shards],
        }

    def write(self, folder: Folder) -> None:
        """Write the manifest; it makes the data set exist."""
        folder.write_json(MANIFEST, with_checksum(self.to_dict()), depth=2)

    @classmethod
    def read(cls, folder: Folder, *, adopted: bool = False) -> Manifest:
        """Read and check the manifest in `folder`.

        Parameters
        ----------
        folder : Folder
        adopted : bool, default=False
            Whether files may be outside the folder, as in an adopted data set.

        Raises
        ------
        StorageError
            ``not_a_dataset``, ``newer_protocol``, ``altered_manifest``,
            ``name_outside_folder``, ``adopted_elsewhere``.
        """
        if not folder.exists(MANIFEST):
            raise StorageError(
                "not_a_dataset",
                f"There is no partitioned data set in {folder.location!r}.",
                "Create one with sparkml_dist.partition(df, path, label=…).",
            )
        value = folder.read_json(MANIFEST)
        check_document(value, FORMAT, PROTOCOL, folder.uri(MANIFEST))
        with reading_fields(folder.uri(MANIFEST), "Partition the data again."):
            weight, encoded = value["weight"], value["encoded"]
            if type(encoded) is not bool:
                raise TypeError(f"encoded must be true or false. Got {encoded!r}")
            schema = FeatureSchema.from_dict(value["features"])
            most = schema.n_features - 1
            manifest = cls(
                schema=schema,
                label=Label.from_dict(value["label"]),
                weight=None if weight is None else text(weight, "weight"),
                key=tuple(text(k, "key") for k in items(value["key"], "key")),
                seed=whole(value["seed"], "seed"),
                shards=tuple(ShardInfo.from_dict(s) for s in items(value["shards"], "shards")),
                missing_features=tuple(
                    natural(f, "missing_features", most) for f in value["missing_features"]
                ),
                encoded=encoded,
                library_version=text(value["library_version"], "library_version"),
            )
            for position, shard in enumerate(manifest.shards):
                _check_shard(shard, position, manifest)
        _check_places(manifest, folder, adopted=adopted)
        return manifest


def _check_shard(shard: ShardInfo, position: int, manifest: Manifest) -> None:
    """Raise unless a shard's file can hold the rows of its entry."""
    if shard.index != position:
        raise TypeError(f"shard {shard.index} is at position {position}")
    if len(shard.class_rows) not in (0, len(manifest.label.classes)):
        raise TypeError(f"shard {position} counts other classes than the label has")
    values = max(shard.block_bytes, 4 * shard.rows)
    if manifest.schema.layout != "sparse":
        values = max(values, 4 * shard.rows * manifest.schema.n_features)
    if values > _ROOM + _RATIO * shard.bytes:
        raise TypeError(
            f"shard {position} claims {shard.rows:,} rows, {values:,} bytes in memory, in a file "
            f"of {shard.bytes:,} bytes"
        )


def _check_places(manifest: Manifest, folder: Folder, *, adopted: bool) -> None:
    """Raise unless the files of a data set are where they may be."""
    inside = [s.file for s in manifest.shards if manifest.encoded or not _is_absolute(s.file)]
    check_names(inside, folder)
    if len(inside) == len(manifest.shards):
        return
    if not adopted:
        raise StorageError(
            "adopted_elsewhere",
            f"The data set in {folder.location!r} has files outside its folder, such as "
            f"{next(s.file for s in manifest.shards if s.file not in inside)!r}.",
            "If you adopted them, or trust whoever did, open it with "
            "open_partitioned(path, adopted=True).",
        )
    for shard in manifest.shards:
        if ".." in shard.file.split("/") or "\0" in shard.file:
            raise StorageError(
                "name_outside_folder",
                f"The manifest in {folder.location!r} names the file {shard.file!r}.",
                "adopt writes full paths, without '..'. It was altered; adopt the files again.",
            )


def _is_absolute(name: Any) -> bool:
    return isinstance(name, str) and (name.startswith("/") or is_uri(name))
