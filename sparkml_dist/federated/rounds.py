"""Where a federation holds its rounds: requests, replies and the record that commits a round."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sparkml_dist.errors import StorageError
from sparkml_dist.federated.message import Message
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["FolderRounds", "MemoryRounds", "Rounds", "merged"]

_KEPT_IN_MEMORY = 8
_RECORD, _REQUEST, _SUM = "round.json", "request.msg", "sum.msg"


class Rounds(ABC):
    """Rounds of one run. A round is committed by its record, which is written last.

    Parameters
    ----------
    names : sequence of str
        Silos, sorted.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self._place = {name: i for i, name in enumerate(self.names)}
        self._common: tuple[int, Message, bytes] | None = None

    def write_request(self, round: int, common: Message, own: Mapping[str, Message]) -> None:  # noqa: A002
        """Keep the request of a round, and the parts that only some silos get."""
        for silo, message in own.items():
            self.put(round, f"own-{self._place[silo]:06d}.msg", message.pack())
        self.put(round, _REQUEST, common.pack())

    def request(self, round: int, silo: str) -> tuple[Message, bytes]:  # noqa: A002
        """Return what a silo is asked in a round, also as it is sent."""
        if self._common is None or self._common[0] != round:
            data = self.get(round, _REQUEST)
            self._common = (round, Message.unpack(data), data)
        own = f"own-{self._place[silo]:06d}.msg"
        _, common, data = self._common
        if not self.has(round, own):
            return common, data
        message = merged(common, Message.unpack(self.get(round, own)))
        return message, message.pack()

    def write_reply(self, round: int, silo: str, data: bytes) -> None:  # noqa: A002
        """Keep the reply of a silo."""
        self.put(round, self._reply(silo), data)

    def reply(self, round: int, silo: str) -> bytes:  # noqa: A002
        """Return the reply of a silo."""
        return self.get(round, self._reply(silo))

    def has_reply(self, round: int, silo: str) -> bool:  # noqa: A002
        """Tell whether a silo's reply was kept."""
        return self.has(round, self._reply(silo))

    def commit_sum(self, round: int, total: Message, silos: Sequence[str]) -> None:  # noqa: A002
        """Keep the sum of a round, and drop the replies that are in it."""
        self.put(round, _SUM, total.pack())
        for silo in silos:
            self.drop(round, self._reply(silo))

    def sum(self, round: int) -> Message | None:  # noqa: A002
        """Return the sum of a round; None where it was not summed."""
        return Message.unpack(self.get(round, _SUM)) if self.has(round, _SUM) else None

    def _reply(self, silo: str) -> str:
        return f"reply-{self._place[silo]:06d}.msg"

    @abstractmethod
    def record(self, round: int) -> dict[str, Any] | None:  # noqa: A002
        """Return the record of a committed round; None for another one."""

    @abstractmethod
    def commit(self, round: int, record: Mapping[str, Any]) -> None:  # noqa: A002
        """Commit a round."""

    @abstractmethod
    def put(self, round: int, name: str, data: bytes) -> None:  # noqa: A002
        """Write a file of a round, atomically."""

    @abstractmethod
    def get(self, round: int, name: str) -> bytes:  # noqa: A002
        """Return a file of a round."""

    @abstractmethod
    def has(self, round: int, name: str) -> bool:  # noqa: A002
        """Tell whether a round has a file."""

    @abstractmethod
    def drop(self, round: int, name: str) -> None:  # noqa: A002
        """Delete a file of a round."""


class MemoryRounds(Rounds):
    """Rounds in memory."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(names)
        self._files: dict[tuple[int, str], bytes] = {}
        self._records: dict[int, dict[str, Any]] = {}

    def record(self, round: int) -> dict[str, Any] | None:  # noqa: A002, D102
        return self._records.get(round)

    def commit(self, round: int, record: Mapping[str, Any]) -> None:  # noqa: A002, D102
        self._records[round] = dict(record)
        # Nobody resumes from memory: what was asked is not asked again.
        for at, name in [key for key in self._files if key[0] == round]:
            if not name.startswith(("reply", "sum")):
                del self._files[at, name]

    def put(self, round: int, name: str, data: bytes) -> None:  # noqa: A002, D102
        self._files[round, name] = data
        for old in [key for key in self._files if key[0] <= round - _KEPT_IN_MEMORY]:
            del self._files[old]

    def get(self, round: int, name: str) -> bytes:  # noqa: A002, D102
        return self._files[round, name]

    def has(self, round: int, name: str) -> bool:  # noqa: A002, D102
        return (round, name) in self._files

    def drop(self, round: int, name: str) -> None:  # noqa: A002, D102
        self._files.pop((round, name), None)


class FolderRounds(Rounds):
    """Rounds in a folder, from which a coordinator that was killed goes on; picklable.

    Parameters
    ----------
    folder : Folder
    names : sequence of str
    """

    def __init__(self, folder: Folder, names: Sequence[str]) -> None:
        super().__init__(names)
        self.folder = folder

    def _home(self, round: int) -> Folder:  # noqa: A002
        return self.folder.child(f"round-{round:06d}")

    def record(self, round: int) -> dict[str, Any] | None:  # noqa: A002, D102
        home = self._home(round)
        if not home.exists(_RECORD):
            return None
        found: dict[str, Any] = home.read_json(_RECORD)
        if not isinstance(found, dict) or not isinstance(found.get("silos"), dict):
            raise StorageError(
                "altered_manifest",
                f"{home.uri(_RECORD)!r} is not the record of a round.",
                "It was altered; start the federation again in another folder.",
            )
        return found

    def commit(self, round: int, record: Mapping[str, Any]) -> None:  # noqa: A002, D102
        self._home(round).write_json(_RECORD, dict(record))

    def put(self, round: int, name: str, data: bytes) -> None:  # noqa: A002, D102
        self._home(round).write_bytes(name, data)

    def get(self, round: int, name: str) -> bytes:  # noqa: A002, D102
        return self._home(round).read_bytes(name)

    def has(self, round: int, name: str) -> bool:  # noqa: A002, D102
        return self._home(round).exists(name)

    def drop(self, round: int, name: str) -> None:  # noqa: A002, D102
        self._home(round).delete_file(name)


def merged(common: Message, own: Message) -> Message:
    """Return the common part of a request together with a silo's own."""
    return replace(
        common, facts={**common.facts, **own.facts}, arrays={**common.arrays, **own.arrays}
    )
