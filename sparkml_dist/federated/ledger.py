"""The ledger: every message that a silo gets or sends, on both sides."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from sparkml_dist.federated.message import Message

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LedgerEntry", "entry_of", "ledger_frame"]


@dataclass(frozen=True)
class LedgerEntry:
    """One message.

    Attributes
    ----------
    round : int
    kind : str
    silo : str
    direction : str
        ``"request"`` to the silo, or ``"answer"`` from it.
    bytes : int
        Of the whole message; 0 where none was sent.
    arrays : str
        Names, types and shapes.
    facts : str
        Names of the facts.
    checksum : str
        SHA-256 of the message.
    epsilon : float or None
        Privacy loss of the silo's rows so far, where noise is added and counted.
    refused : str
        Code of the error, where the message was refused or the silo failed.
    time : float
        Seconds since 1970 when the entry was made.
    """

    round: int
    kind: str
    silo: str
    direction: str
    bytes: int
    arrays: str = ""
    facts: str = ""
    checksum: str = ""
    epsilon: float | None = None
    refused: str = ""
    time: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> LedgerEntry:
        """Return the entry of `to_dict`."""
        return cls(**value)


def entry_of(
    message: Message, data: bytes, silo: str, direction: str, *, refused: str = ""
) -> LedgerEntry:
    """Return the entry of a message.

    Parameters
    ----------
    message : Message
    data : bytes
        The message as it is sent.
    silo : str
    direction : {"request", "answer"}
    refused : str
        Code, where it was refused.
    """
    epsilon = message.facts.get("epsilon")
    return LedgerEntry(
        round=message.round,
        kind=message.kind,
        silo=silo,
        direction=direction,
        bytes=len(data),
        arrays=", ".join(
            f"{name} {array.dtype.str[1:]}[{','.join(map(str, array.shape))}]"
            for name, array in message.arrays.items()
        ),
        facts=", ".join(message.facts),
        checksum=hashlib.sha256(data).hexdigest(),
        epsilon=float(epsilon) if isinstance(epsilon, int | float) else None,
        refused=refused,
        time=time.time(),
    )


def ledger_frame(entries: Iterable[LedgerEntry]) -> pd.DataFrame:
    """Return entries as a table, one row for each."""
    import pandas as pd

    names = [f.name for f in fields(LedgerEntry)]
    return pd.DataFrame([entry.to_dict() for entry in entries], columns=names)
