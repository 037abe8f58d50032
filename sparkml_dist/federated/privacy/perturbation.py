"""Output perturbation: statistics with noise that hides each record."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.federated.privacy.accountant import calibrated_noise
from sparkml_dist.federated.privacy.event import PrivacyEvent
from sparkml_dist.federated.privacy.noise import NoiseSource


@dataclass(frozen=True)
class Perturbation:
    """Adds noise to a statistic, in proportion to what one record can change of it.

    Parameters
    ----------
    noise_multiplier : float
        Noise over sensitivity: standard deviation of Gaussian noise, scale of Laplace noise.
        `with_epsilon` returns it for an ε.
    mechanism : {"gaussian", "laplace", "discrete_gaussian", "discrete_laplace"}, default="gaussian"
        The discrete ones are for counts, whose sums stay integers.

    References
    ----------
    C. Dwork, F. McSherry, K. Nissim, A. Smith. Calibrating noise to sensitivity in private data
    analysis. TCC, 2006.

    B. Balle, Y.-X. Wang. Improving the Gaussian mechanism for differential privacy: analytical
    calibration and optimal denoising. ICML, 2018. arXiv 1805.06530.

    Examples
    --------
    >>> from sparkml_dist.federated.privacy import NoiseSource, Perturbation
    >>> ages = np.clip([34.0, 51.0, 47.0], 0.0, 100.0)
    >>> perturbation = Perturbation.with_epsilon(1.0, delta=1e-5)
    >>> round(perturbation.event.noise_multiplier, 4)
    3.7306
    >>> noisy = perturbation.apply(ages.sum(), sensitivity=100.0, noise=NoiseSource())
    """

    noise_multiplier: float
    mechanism: str = "gaussian"

    def __post_init__(self) -> None:
        PrivacyEvent(self.noise_multiplier, self.mechanism)

    @classmethod
    def with_epsilon(
        cls, epsilon: float, delta: float = 0.0, mechanism: str = "gaussian"
    ) -> Perturbation:
        """Return the noise of one statistic that costs ε, at δ for Gaussian noise.

        Raises
        ------
        ConfigurationError
            ``invalid_param``: Gaussian noise without a δ.
        """
        if mechanism in ("laplace", "discrete_laplace"):
            return cls(1.0 / epsilon, mechanism)
        if not 0 < delta < 1:
            raise ConfigurationError(
                "invalid_param",
                f"{mechanism} noise needs a delta between 0 and 1. Got {delta}.",
                "Take delta=1e-5, well below one over the number of records, or Laplace noise.",
            )
        kind = "rdp" if mechanism == "discrete_gaussian" else "pld"
        return cls(calibrated_noise(epsilon, delta, kind=kind), mechanism)

    @property
    def event(self) -> PrivacyEvent:
        """What one statistic costs."""
        return PrivacyEvent(self.noise_multiplier, self.mechanism, purpose="a statistic")

    def apply(
        self, value: np.ndarray | float, sensitivity: float, noise: NoiseSource
    ) -> np.ndarray:
        """Return the noisy statistic. The accountant counts ``perturbation.event``, before.

        Parameters
        ----------
        value : float or ndarray
            Integers for the discrete mechanisms.
        sensitivity : float
            Most by which one record changes the whole of `value`: in the sum of absolute values
            for Laplace noise, in the Euclidean norm for Gaussian noise. It follows from ranges that
            were declared before the data were seen (`sum_sensitivity`).
        noise : NoiseSource
        """
        exact = np.asarray(value)
        scale = self.noise_multiplier * sensitivity
        if not (sensitivity > 0 and np.isfinite(scale)):
            raise ConfigurationError(
                "invalid_param", f"The sensitivity must be a number above 0. Got {sensitivity!r}."
            )
        if not self.mechanism.startswith("discrete_"):
            drawn = noise.normal if self.mechanism == "gaussian" else noise.laplace
            return exact + drawn(exact.shape, scale)
        if exact.dtype.kind not in "iu":
            raise ConfigurationError(
                "invalid_param",
                f"Discrete noise is for integers. Got {exact.dtype}.",
                "Take gaussian or laplace, or round the statistic to integers.",
            )
        draw = (
            noise.discrete_gaussian
            if self.mechanism == "discrete_gaussian"
            else noise.discrete_laplace
        )
        return exact + draw(exact.size, scale).reshape(exact.shape)


def sum_sensitivity(
    lower: np.ndarray | float, upper: np.ndarray | float, mechanism: str = "gaussian"
) -> float:
    """Return the most that one row changes the sums of columns with declared ranges.

    Parameters
    ----------
    lower, upper : float or ndarray
        Range of each column, to which its values are clipped. One row more or less changes each sum
        by its largest absolute value.
    mechanism : str
        Which norm counts; see `Perturbation.apply`.
    """
    most = np.maximum(np.abs(lower), np.abs(upper))
    return float(np.sum(most)) if "laplace" in mechanism else sqrt(float(np.sum(most**2)))
