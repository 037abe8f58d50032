"""Checks that an optimizer can train a table distributed over ranks; imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sparkml_dist.deep.embedding.marks import sharded_over_ranks
from sparkml_dist.errors import ConfigurationError

__all__ = ["check_optimizer"]

# Their update of a row depends on the other rows of the table.
_NOT_BY_ROWS = ("Adafactor", "Lamb", "Muon")


def check_optimizer(optimizer: Any, variables: Sequence[Any]) -> None:
    """Raise unless an optimizer updates rows of a table independently.

    Raises
    ------
    ConfigurationError
        ``sharded_optimizer``.
    """
    if not any(map(sharded_over_ranks, variables)):
        return
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    kinds = {kind.__name__ for kind in type(optimizer).__mro__}
    found = [name for name in _NOT_BY_ROWS if name in kinds]
    if found:
        raise ConfigurationError(
            "sharded_optimizer",
            f"A table that is distributed over ranks cannot be trained with the optimizer "
            f"{found[0]}, whose updates need all rows together.",
            "Use SGD, Adam, AdamW, Adagrad, RMSprop or a similar one.",
        )
