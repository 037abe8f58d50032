"""One stored member of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["StoredMember"]


@dataclass(frozen=True)
class StoredMember:
    """A stored member, and the form of its input.

    Attributes
    ----------
    file : str
        Name of the file in the model's folder.
    sha256 : str
    weight : float
        Its weight in the vote.
    features : tuple of int or None
        Features that it was fitted on; None for all.
    dtype : str
        Type of dense features that it uses without copying.
    allows_missing : bool or tuple of int
        Whether it accepts missing values, or in which features.
    allows_sparse : bool
    encodes : bool
        Whether an unseen category reaches it as a category of its own, rather than as missing.
    """

    file: str
    sha256: str
    weight: float
    features: tuple[int, ...] | None
    dtype: str
    allows_missing: bool | tuple[int, ...]
    allows_sparse: bool
    encodes: bool = False

    @classmethod
    def from_record(cls, record: dict[str, Any], weight: float = 1.0) -> StoredMember:
        """Return the member that a record describes; raises KeyError or TypeError if invalid."""
        features, missing = record["features"], record["allows_missing"]
        member = cls(
            record["file"],
            record["sha256"],
            float(weight),
            None if features is None else tuple(map(int, features)),
            record["dtype"],
            missing if isinstance(missing, bool) else tuple(map(int, missing)),
            record["allows_sparse"],
            bool(record.get("encodes", False)),
        )
        if not (isinstance(member.file, str) and member.dtype in ("float32", "float64")):
            raise TypeError(f"{record!r} is not the record of a member")
        return member
