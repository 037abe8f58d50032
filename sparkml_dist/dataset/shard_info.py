"""The entry of one shard in the manifest of a partitioned data set."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from sparkml_dist.persistence.fields import checksum, natural

__all__ = ["ShardInfo"]


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
        Bytes of the whole shard as a float32 block in memory.
    sha256 : str
        Checksum of the whole file.
    footer_sha256 : str
        Checksum of the Parquet footer, checked at every reading; the pages have checksums.
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

    def to_dict(self) -> dict[str, Any]:
        """Return the shard's entry in a manifest."""
        return {name: getattr(self, name) for name in _SHARD_FIELDS}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> ShardInfo:
        """Return the shard of a manifest's entry; raise KeyError, TypeError or ValueError."""
        counts = ("index", "rows", "bytes", "block_bytes", "missing")
        shard = cls(
            **{
                **value,
                **{name: natural(value[name], name) for name in counts},
                "row_groups": tuple(natural(n, "row_groups") for n in value["row_groups"]),
                "class_rows": tuple(natural(n, "class_rows") for n in value["class_rows"]),
                "sha256": checksum(value["sha256"], "sha256"),
                "footer_sha256": checksum(value["footer_sha256"], "footer_sha256"),
            }
        )
        if sum(shard.row_groups) != shard.rows:
            raise TypeError(f"the row groups of shard {shard.index} do not add up to its rows")
        if shard.class_rows and sum(shard.class_rows) != shard.rows:
            raise TypeError(f"the classes of shard {shard.index} do not add up to its rows")
        return shard


# `asdict` copies every value deeply, which takes seconds for a hundred thousand shards.
_SHARD_FIELDS = tuple(field.name for field in fields(ShardInfo))
