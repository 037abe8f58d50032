"""One member of a model at rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["StoredMember"]


@dataclass(frozen=True)
class StoredMember:
    """A member at rest, and how to feed it.

    Attributes
    ----------
    file : str
        Name in the model's folder.
    sha256 : str
    weight : float
        Its say in the vote.
    features : tuple of int or None
        Features that it was fitted on; None for all.
    dtype : str
        Type in which it takes dense features without copying.
    allows_missing : bool or tuple of int
        Whether it takes missing values, or in which features.
    allows_sparse : bool
    encodes : bool
        Whether a category that is not on the list reaches it as one; or else it is missing.
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
        """Return the member that a fit recorded; raises KeyError or TypeError for what is none."""
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
            raise TypeError(f"{record!r} is no record of a member")
        return member
