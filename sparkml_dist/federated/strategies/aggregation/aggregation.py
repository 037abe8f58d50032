"""What all rules share, and the mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from sparkml_dist.errors import ConfigurationError, TrainingError
from sparkml_dist.federated.training.flat_model import Floats

__all__ = ["Aggregation", "Mean", "check_faults", "most_faults"]


class Aggregation(ABC):
    """Base of the rules: frozen dataclasses of numbers.

    Attributes
    ----------
    name : str
        Name in the allow-list.
    """

    name: ClassVar[str]

    def check(self) -> None:
        """Raise ConfigurationError ``invalid_param`` for settings without meaning."""
        return

    @abstractmethod
    def combine(self, updates: Floats, weights: Floats) -> Floats:
        """Return one update.

        Parameters
        ----------
        updates : ndarray, shape (m, d)
            A row for each silo, in the order of names.
        weights : ndarray, shape (m,)
            Of the silos; most rules treat all alike.

        Raises
        ------
        TrainingError
            ``too_few_silos``.
        """

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {"name": self.name, **asdict(self)}  # type: ignore[call-overload]

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Aggregation:
        """Return the rule of JSON values."""
        found = cls(**{k: v for k, v in value.items() if k != "name"})
        found.check()
        return found


@dataclass(frozen=True)
class Mean(Aggregation):
    """The weighted mean: one silo that lies can move it anywhere."""

    name: ClassVar[str] = "mean"

    def combine(self, updates: Floats, weights: Floats) -> Floats:
        """Return one update; see `Aggregation.combine`."""
        return weights @ updates / weights.sum()


def most_faults(given: int | None, silos: int, most: int, rule: str, needs: str) -> int:
    """Return how many silos may lie: as given, or as many as a rule bears.

    Raises
    ------
    TrainingError
        ``too_few_silos``.
    """
    if most < 0 or (given is not None and given > most):
        raise TrainingError(
            "too_few_silos",
            f"{silos} silos answered, too few for {rule} with {given or 0} that may lie.",
            f"It needs {needs}. Ask for fewer faults, or take the median.",
        )
    return most if given is None else given


def check_faults(value: int | None) -> None:
    """Raise ConfigurationError ``invalid_param`` unless a number of faults is none or >= 0."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise ConfigurationError("invalid_param", f"faults must be an integer >= 0. Got {value!r}.")
