"""Answers of silos, and the declarations of what they may hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

__all__ = ["Answer", "Declaration"]


@dataclass(frozen=True)
class Declaration:
    """What the answer of a work may hold. Anything else is refused, in the silo and outside.

    It follows from the request and the agreed schema alone, never from a silo's rows.

    Attributes
    ----------
    arrays : mapping of str to (str, tuple of int)
        Type (such as ``"f8"``) and largest shape of each array. An answer may leave arrays out
        and have smaller shapes, with as many dimensions.
    facts : tuple of str
        Names of the facts.
    fact_bytes : int, default=4096
        Most bytes of all facts as JSON.
    finite : bool, default=True
        Whether NaN and infinities are refused.
    """

    arrays: Mapping[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    facts: tuple[str, ...] = ()
    fact_bytes: int = 4096
    finite: bool = True


@dataclass(frozen=True, eq=False)
class Answer:
    """What a silo answers.

    Attributes
    ----------
    facts : mapping of str to JSON values
    arrays : mapping of str to ndarray
    epsilon : float or None
        Privacy loss of the silo's rows up to this answer, for the ledger, where the work adds
        noise and counts it.
    """

    facts: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    epsilon: float | None = None
