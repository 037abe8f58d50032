"""Which optimizers can train a table that is shared out among ranks; imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sparkml_dist.deep.embedding.marks import sharded_over_ranks
from sparkml_dist.errors import ConfigurationError

__all__ = ["check_optimizer"]

# What these do to a row depends on the other rows of the table.
_NOT_BY_ROWS = ("Adafactor", "Lamb", "Muon")


def check_optimizer(optimizer: Any, variables: Sequence[Any]) -> None:
    """Raise unless an optimizer can update some rows of a table without the others.

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
            f"A table that is shared out among ranks cannot be trained with the optimizer "
            f"{found[0]}, which looks at all of its rows together.",
            "Use SGD, Adam, AdamW, Adagrad, RMSprop or the like.",
        )
