"""What a silo keeps between rounds: arrays by name, in versions by round."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from sparkml_dist.federated.message import Message
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["SiloState"]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,60}")
_VERSION = re.compile(r"([A-Za-z0-9_-]+)\.([0-9]{6,})\.msg")
_KEPT = 3


class SiloState:
    """Arrays of strategies, in memory or in the silo's own folder.

    A round that is asked twice reads the same version, and so gives the same answer. The newest
    three versions of a name are kept.

    Parameters
    ----------
    folder : Folder, optional
        In memory without.
    """

    def __init__(self, folder: Folder | None = None) -> None:
        self._folder = folder
        self._held: dict[str, dict[int, bytes]] = {}

    def read(self, name: str, before: int) -> dict[str, npt.NDArray[Any]] | None:
        """Return the arrays that were written under a name in the newest round before `before`.

        Parameters
        ----------
        name : str
            Letters, digits, ``-`` and ``_``.
        before : int
            Usually ``request.round``.

        Returns
        -------
        dict of str to ndarray, or None
            None where there are none yet.
        """
        rounds = [r for r in self._rounds(name) if r < before]
        if not rounds:
            return None
        newest = max(rounds)
        if self._folder is None:
            data = self._held[name][newest]
        else:
            data = self._folder.read_bytes(f"{name}.{newest:06d}.msg")
        return dict(Message.unpack(data).arrays)

    def write(self, name: str, round: int, arrays: Mapping[str, npt.NDArray[Any]]) -> None:  # noqa: A002
        """Write arrays under a name as the version of a round, replacing it."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a state")
        data = Message(name, round, "", arrays=arrays).pack()
        if self._folder is None:
            self._held.setdefault(name, {})[round] = data
        else:
            self._folder.write_bytes(f"{name}.{round:06d}.msg", data)
        for old in sorted(self._rounds(name))[:-_KEPT]:
            if self._folder is None:
                del self._held[name][old]
            else:
                self._folder.delete_file(f"{name}.{old:06d}.msg")

    def _rounds(self, name: str) -> list[int]:
        if self._folder is None:
            return list(self._held.get(name, ()))
        found = (_VERSION.fullmatch(file) for file in self._folder.names(".msg"))
        return [int(match[2]) for match in found if match and match[1] == name]
