"""What was done with noise: the events that an accountant adds up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.federated.privacy.packages import needed

MECHANISMS = ("gaussian", "laplace", "discrete_gaussian", "discrete_laplace")
UNITS = ("record", "silo")


@dataclass(frozen=True)
class PrivacyEvent:
    """Noisy answers that were given, `count` times in the same way.

    Parameters
    ----------
    noise_multiplier : float
        Noise over sensitivity: the standard deviation of Gaussian noise, the scale of Laplace
        noise.
    mechanism : {"gaussian", "laplace", "discrete_gaussian", "discrete_laplace"}, default="gaussian"
    sampling_rate : float, default=1.0
        Each record (or silo) was in the sample with this probability, independently of the others
        (Poisson sampling), and nobody outside knows which.
    count : int, default=1
    unit : {"record", "silo"}, default="record"
        Whose presence the noise hides. What hides a silo hides its records too.
    purpose : str, default=""
        For people; says nothing to the accountant.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """

    noise_multiplier: float
    mechanism: str = "gaussian"
    sampling_rate: float = 1.0
    count: int = 1
    unit: str = "record"
    purpose: str = ""

    def __post_init__(self) -> None:
        if not (
            self.mechanism in MECHANISMS
            and self.unit in UNITS
            and 0 < self.noise_multiplier < float("inf")
            and 0 < self.sampling_rate <= 1
            and self.count >= 0
        ):
            raise ConfigurationError(
                "invalid_param",
                f"No accountant can count {self}.",
                "noise_multiplier is above 0, sampling_rate above 0 and at most 1, count 0 or "
                f"more, mechanism one of {', '.join(MECHANISMS)}, unit one of {', '.join(UNITS)}.",
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the event as JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> PrivacyEvent:
        """Return the event that `to_dict` wrote."""
        return cls(
            float(facts["noise_multiplier"]),
            str(facts["mechanism"]),
            float(facts["sampling_rate"]),
            int(facts["count"]),
            str(facts["unit"]),
            str(facts["purpose"]),
        )

    def once(self) -> Any:
        """Return the event of ``dp_accounting`` that stands for one of the `count`."""
        events = needed("dp_accounting.dp_event")
        noise = self.noise_multiplier
        one = {
            "gaussian": lambda: events.GaussianDpEvent(noise),
            "laplace": lambda: events.LaplaceDpEvent(noise),
            # In several dimensions only its zero-concentrated bound is known, which is the
            # Gaussian's.
            "discrete_gaussian": lambda: events.ZCDpEvent(0.5 / noise**2),
            # With sensitivity 1 its loss is 1 / noise or minus that, the worst that a pure
            # mechanism of this epsilon can do, in any number of dimensions.
            "discrete_laplace": lambda: events.DiscreteLaplaceDpEvent(1.0 / noise, 1),
        }[self.mechanism]()
        if self.sampling_rate == 1.0:
            return one
        return events.PoissonSampledDpEvent(self.sampling_rate, one)
