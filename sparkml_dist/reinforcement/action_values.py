"""The values of actions that stored regressors predict: those of one iteration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.members.bank import LoadedMembers, MemberBank
from sparkml_dist.members.stored_member import StoredMember
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["ActionValues", "LoadedValues", "ValueMember", "members_of", "with_actions"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ValueMember:
    """A stored regressor of values, and which values it predicts.

    Attributes
    ----------
    member : StoredMember
    half : int
        With double Q-learning the half of the episodes from which it learnt, 0 or 1; else 0.
    action : int or None
        The code of the only action whose value it predicts; None where the action is among its
        features.
    """

    member: StoredMember
    half: int
    action: int | None

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> ValueMember:
        """Return the member of a record; raises KeyError or TypeError if it is invalid."""
        action = record["action"]
        return cls(
            StoredMember.from_record(record),
            int(record["half"]),
            None if action is None else int(action),
        )


@dataclass(frozen=True)
class ActionValues:
    """Stored regressors as sent to workers: small and picklable; workers load the files.

    The value of an action is the mean over the regressors that predict it.

    Attributes
    ----------
    folder : Folder
        The folder of their files.
    members : tuple of ValueMember
    n_actions : int
    feature_names : tuple of str
        Used in messages.
    trusted : tuple of str
    memory : int or None
        See `MemberBank`.
    """

    folder: Folder
    members: tuple[ValueMember, ...]
    n_actions: int
    feature_names: tuple[str, ...]
    trusted: tuple[str, ...] = ()
    memory: int | None = None

    @property
    def cache_key(self) -> str:
        """A key that changes with every member."""
        return "/".join(bank.cache_key for bank in self.banks.values())

    @cached_property
    def banks(self) -> dict[tuple[int, int | None], MemberBank]:
        """The members by half and action."""
        found: dict[tuple[int, int | None], list[StoredMember]] = {}
        for m in self.members:
            found.setdefault((m.half, m.action), []).append(m.member)
        memory = None if self.memory is None else self.memory // max(1, len(found))
        return {
            place: MemberBank(
                self.folder, tuple(group), 0, self.feature_names, self.trusted, memory
            )
            for place, group in sorted(found.items(), key=lambda item: str(item[0]))
        }

    def load(self) -> LoadedValues:
        """Read the members' files and verify their checksums; see `MemberBank.load`."""
        return LoadedValues(self.n_actions, {p: bank.load() for p, bank in self.banks.items()})


class LoadedValues:
    """Regressors of values in a worker.

    Parameters
    ----------
    n_actions : int
    groups : dict of (half, action) to LoadedMembers
    """

    def __init__(self, n_actions: int, groups: dict[tuple[int, int | None], LoadedMembers]) -> None:
        self._n_actions, self._groups = n_actions, groups

    def q_values(self, states: npt.ArrayLike, half: int | None = None) -> Floats:
        """Return the value of each action, shape (n, n_actions); NaN where no member knows it.

        Parameters
        ----------
        states : array-like, shape (n, n_state)
        half : int, optional
            Use the regressors of this half only.
        """
        rows = np.asarray(states, np.float64)
        total = np.zeros((len(rows), self._n_actions))
        counts = np.zeros(self._n_actions)
        for (own, action), members in self._groups.items():
            if half is not None and own != half:
                continue
            n = len(members.bank.members)
            for code in range(self._n_actions) if action is None else [action]:
                X = rows if action is not None else with_actions(rows, code, self._n_actions)
                found = np.zeros(len(rows))
                for _ in members.add_values(X, found):
                    pass
                total[:, code] += found
                counts[code] += n
        with np.errstate(invalid="ignore"):
            return total / np.where(counts > 0, counts, np.nan)


def with_actions(states: Floats, codes: Any, n_actions: int) -> Floats:
    """Return states with one more feature for each action: 1 for that of the row, 0 for others.

    Parameters
    ----------
    states : ndarray of shape (n, n_state)
    codes : int or ndarray of int, shape (n,)
    n_actions : int
    """
    width = states.shape[1]
    found = np.zeros((len(states), width + n_actions))
    found[:, :width] = states
    found[np.arange(len(states)), width + np.asarray(codes)] = 1.0
    return found


def members_of(records: Sequence[dict[str, Any]]) -> tuple[ValueMember, ...]:
    """Return the members of records."""
    return tuple(ValueMember.from_record(r) for r in records)
