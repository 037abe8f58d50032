"""The members of a model at rest, and how they come into a worker's memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import scipy.sparse as sp

from sparkml_dist.dataset.schema import Matrix, is_unseen
from sparkml_dist.ensemble.loaded_members import LoadedMembers
from sparkml_dist.errors import DataError, StorageError
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.learners import load_learner

__all__ = ["MemberBank", "OfMembers", "StoredMember", "StreamedLearners"]


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


@dataclass(frozen=True)
class MemberBank:
    """The members of a model as they travel to workers: small, picklable, loaded there.

    Attributes
    ----------
    folder : Folder
        The model's folder.
    members : tuple of StoredMember
    n_classes : int
        0 for a regression.
    feature_names : tuple of str
        For messages.
    trusted : tuple of str
        Types that member files may contain beside the allow-list.
    memory : int, optional
        Bytes that members may take in a worker at once; those that do not fit are read anew for
        each block. A member takes about as much as its file.
    categories : tuple of int
        Number of categories of each feature, 0 for numbers; empty where all are numbers.
    """

    folder: Folder
    members: tuple[StoredMember, ...]
    n_classes: int
    feature_names: tuple[str, ...]
    trusted: tuple[str, ...] = ()
    memory: int | None = None
    categories: tuple[int, ...] = ()

    @property
    def cache_key(self) -> str:
        """Changes with every member, and with what is trusted."""
        trusted = repr(sorted(set(self.trusted)))
        parts = [self.folder.location, repr(self.memory), trusted, *map(repr, self.members)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def size(self) -> int:
        """Return the bytes of the members' files."""
        return sum(self._sizes)

    @cached_property
    def _sizes(self) -> list[int]:
        return [self.folder.size(member.file) for member in self.members]

    @property
    def streams(self) -> bool:
        """Whether members are read anew for each block, since memory does not hold them all."""
        return self.memory is not None and len(self.members) > 1 and self.size() > self.memory

    def load(self) -> LoadedMembers:
        """Read the members' files, checked against their hashes; where they stream, those that fit.

        Raises
        ------
        StorageError
            ``file_altered``, ``damaged_member`` or ``untrusted_type``.
        ResourceError
            ``out_of_memory``.
        """
        return LoadedMembers(self, StreamedLearners(self) if self.streams else self.learners())

    def learners(self, number: int | None = None) -> list[Any]:
        """Read the members' files, or the first of them; raises as `load` does."""
        return [self._learner(m) for m in self.members[:number]]

    def fitting(self) -> int:
        """Return how many of the members, from the first, `memory` holds beside one more."""
        room = (self.memory or 0) - max(self._sizes, default=0)
        number = 0
        for size in self._sizes:
            room -= size
            if room < 0:
                break
            number += 1
        return number

    def learner(self, index: int) -> Any:
        """Read one member's file, checked against its hash; raises as `load` does."""
        return self._learner(self.members[index])

    def refuse_missing(self, X: Matrix) -> None:
        """Raise where a block has missing values that a member does not take.

        Raises
        ------
        DataError
            ``missing_values``, or ``unseen_category`` where a category that is not on the list
            would be taken for one.
        """
        if all(m.allows_missing is True for m in self.members):
            return
        missing, unseen = _missing(X)
        if not (missing or unseen):
            return
        for allowed, encodes in dict.fromkeys((m.allows_missing, m.encodes) for m in self.members):
            if allowed is True:
                continue
            takes = set(allowed or ())
            if bad := [i for i in missing if i not in takes]:
                raise DataError(
                    "missing_values",
                    f"The data to score has missing values in {self._named(bad)}, which the "
                    "ensemble's learners do not take.",
                    "Fill them in, or fit a pipeline that imputes.",
                )
            if not encodes and (bad := [i for i in unseen if i not in takes]):
                raise DataError(
                    "unseen_category",
                    f"The data to score has categories in {self._named(bad)} that the training "
                    "data had not, and the ensemble's learners have no place for them.",
                    "Fit a pipeline with an encoder: OneHotEncoder(handle_unknown='ignore'), or a "
                    "learner that takes missing values.",
                )

    def _named(self, features: list[int]) -> str:
        return ", ".join(self.feature_names[i] for i in features[:5])

    def _learner(self, member: StoredMember) -> Any:
        content = self.folder.read_bytes(member.file)
        where = self.folder.uri(member.file)
        if hashlib.sha256(content).hexdigest() != member.sha256:
            raise StorageError(
                "file_altered",
                f"The model's file {where!r} does not match its manifest.",
                "It was cut or altered; restore it, or fit the model anew.",
            )
        return load_learner(content, where, trusted=self.trusted)


class OfMembers:
    """Base of the scorers that ask the members of one bank; see `BoundedScorer`.

    Attributes
    ----------
    bank : MemberBank
    """

    bank: MemberBank

    @property
    def streams(self) -> bool:
        """Whether members are read anew for each block."""
        return self.bank.streams

    def within(self, memory: int) -> Self:
        """Return the scorer with at most so many bytes of members in memory at once."""
        bank = replace(self.bank, memory=memory)
        return replace(self, bank=bank)  # type: ignore[type-var]


class StreamedLearners:
    """Learners in the order of a bank's members: some in memory, the others read when asked for.

    Parameters
    ----------
    bank : MemberBank
    """

    def __init__(self, bank: MemberBank) -> None:
        self._bank = bank
        self._kept = bank.learners(bank.fitting())

    def __iter__(self) -> Iterator[Any]:
        yield from self._kept
        for index in range(len(self._kept), len(self._bank.members)):
            yield self._bank.learner(index)


def _missing(X: Any) -> tuple[list[int], list[int]]:
    """Return the features of a block that have missing values, and those with unseen categories."""
    values = X.data if sp.issparse(X) else X
    with np.errstate(over="ignore", invalid="ignore"):
        if not np.isnan(values.sum(dtype=np.float64)):
            return [], []
    unseen = is_unseen(values)
    found = []
    for where in (np.isnan(values) & ~unseen, unseen):
        at = X.indices[where] if sp.issparse(X) else np.flatnonzero(where.any(axis=0))
        found.append(sorted(set(at.tolist())))
    return found[0], found[1]
