"""The rows of one silo in batches, in memory where they fit and block by block where not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.federated.training.flat_model import Floats
from sparkml_dist.federated.training.standardization import Standardization

if TYPE_CHECKING:
    from sparkml_dist.federated.silo import Silo

__all__ = ["LocalRows", "Piece"]

#: Features and labels of some rows.
Piece = tuple[Floats, Any]
_HELD_BYTES = 512 << 20


class LocalRows:
    """Training or held-out rows of a silo, as its model takes them.

    Parameters
    ----------
    silo : Silo
    standardization : Standardization
    standardized : bool
        Whether features are standardized; otherwise missing values are filled in only.
    validation : Validation, optional
        Rows that are held out from training, by their keys.
    held_out : bool, default=False
        Whether to give those rows, and not the others.
    held_bytes : int
        Most bytes of features that are kept in memory.
    """

    def __init__(
        self,
        silo: Silo,
        standardization: Standardization,
        *,
        standardized: bool,
        validation: Validation | None = None,
        held_out: bool = False,
        held_bytes: int = _HELD_BYTES,
    ) -> None:
        self._silo, self._standardization = silo, standardization
        self._standardized = standardized
        self._validation, self._held_out = validation, held_out
        self._held = self._gathered(held_bytes)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        if self._held is not None:
            return len(self._held[1])
        return sum(len(y) for _, y in self._read())

    def pieces(self) -> Iterator[Piece]:
        """Yield all rows, in parts that fit into memory."""
        if self._held is not None:
            if len(self._held[1]):
                yield self._held
            return
        yield from self._read()

    def batches(self, rng: np.random.Generator, size: int) -> Iterator[Iterator[Piece]]:
        """Yield the batches of an epoch, each row in one of them; a batch comes in pieces.

        Parameters
        ----------
        rng : Generator
            Draws the order of the rows.
        size : int
            Rows of a batch; 0 for all of them.
        """
        if not size:
            if self._held is None or len(self._held[1]):
                yield self.pieces()
            return
        for X, y in self.pieces():
            order = rng.permutation(len(y))
            for start in range(0, len(y), size):
                rows = order[start : start + size]
                yield iter([(X[rows], y[rows])])

    def _gathered(self, most: int) -> Piece | None:
        """Return all rows as one piece; None where they are more than fit into memory."""
        parts: list[Piece] = []
        total = 0
        for piece in self._read():
            total += piece[0].nbytes
            if total > most:
                return None
            parts.append(piece)
        if not parts:
            return np.zeros((0, 0)), np.zeros(0, np.int32)
        if len(parts) == 1:
            return parts[0]
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    def _read(self) -> Iterator[Piece]:
        mean, deviation = self._standardization.target
        for block in self._silo.blocks():
            X, y = block.X, block.y
            if self._validation is not None:
                kept = self._validation.mask(block.key) == self._held_out
                X, y = X[kept], y[kept]
            if not len(y):
                continue
            if self._silo.schema.label.is_regression:
                y = (np.asarray(y, np.float64) - mean) / deviation
            if self._standardized:
                yield self._standardization.standardized(X), y
            else:
                yield self._standardization.imputed(X), y
