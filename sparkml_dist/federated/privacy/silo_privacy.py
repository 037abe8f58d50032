"""Differential privacy of silos: their updates clipped, and their sum noised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import exp, sqrt
from typing import Any

import numpy as np

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.federated.privacy.clipping import check_noise, clip_update
from sparkml_dist.federated.privacy.event import PrivacyEvent
from sparkml_dist.federated.privacy.noise import NoiseSource


@dataclass(frozen=True)
class AdaptiveClipping:
    """Has the clipping norm follow a quantile of the updates' norms.

    Parameters
    ----------
    quantile : float, default=0.5
        Share of updates that shall lie within the norm.
    rate : float, default=0.2
        The norm changes by ``exp(-rate * (share within - quantile))`` in a round.
    count_noise : float, optional
        Standard deviation of the noise on the number of updates within the norm; a twentieth of the
        silos that are expected by default, and more than half the noise multiplier always.

    References
    ----------
    G. Andrew, O. Thakkar, H. B. McMahan, S. Ramaswamy. Differentially private learning with
    adaptive clipping. NeurIPS, 2021. arXiv 1905.03871.
    """

    quantile: float = 0.5
    rate: float = 0.2
    count_noise: float | None = None

    def __post_init__(self) -> None:
        if not (0 < self.quantile < 1 and self.rate > 0 and (self.count_noise or 1.0) > 0):
            raise ConfigurationError(
                "invalid_param",
                f"{self} is no adaptive clipping.",
                "quantile is between 0 and 1, rate and count_noise above 0.",
            )


@dataclass(frozen=True)
class SiloPrivacy:
    """A round whose result hides whether a silo was in it.

    Each silo takes part with probability `sampling_rate`, independently of the others. Its update
    is clipped to the norm `clip_norm`; all updates weigh the same. The sum gets Gaussian noise of
    standard deviation ``noise_multiplier * clip_norm`` in each coordinate, from the coordinator or,
    in shares, from the silos, and is divided by the number of silos that is expected.

    With adaptive clipping each silo also sends whether its update was within the norm. Update and
    that bit are noised so that together they cost what `noise_multiplier` says.

    Parameters
    ----------
    clip_norm : float
    noise_multiplier : float
    sampling_rate : float, default=1.0
    adaptive : AdaptiveClipping, optional
        Fixed clipping without.
    expected : float, default=0
        Silos of a round in the mean: ``sampling_rate`` times the silos; 0 until `of` sets it.

    References
    ----------
    H. B. McMahan, D. Ramage, K. Talwar, L. Zhang. Learning differentially private recurrent
    language models. ICLR, 2018. arXiv 1710.06963.
    """

    clip_norm: float
    noise_multiplier: float
    sampling_rate: float = 1.0
    adaptive: AdaptiveClipping | None = None
    expected: float = 0.0

    def __post_init__(self) -> None:
        check_noise(self.clip_norm, self.noise_multiplier, self.sampling_rate)

    def of(self, n_silos: int) -> SiloPrivacy:
        """Return the same for a federation of so many silos."""
        return replace(self, expected=self.sampling_rate * n_silos)

    def choose(self, names: Sequence[str], noise: NoiseSource) -> list[str]:
        """Return the silos of a round: a Poisson sample, which may be empty."""
        taken = noise.bernoulli(len(names), self.sampling_rate)
        return [name for name, yes in zip(names, taken, strict=True) if yes]

    @property
    def count_noise(self) -> float:
        """Standard deviation of the noise on the number of updates within the norm."""
        assert self.adaptive is not None
        wanted = self.adaptive.count_noise or self.expected / 20.0
        # At half the noise multiplier nothing would be left for the update; at 2.5 times that
        # its noise grows by 9%.
        return max(wanted, 2.5 * self.noise_multiplier / 2.0)

    @property
    def update_noise(self) -> float:
        """Noise over clipping norm of the update alone: more than the multiplier with a bit."""
        if self.adaptive is None:
            return self.noise_multiplier
        return 1.0 / sqrt(self.noise_multiplier**-2 - (2.0 * self.count_noise) ** -2)

    def clip(
        self, update: Mapping[str, np.ndarray], noise: NoiseSource | None = None, share: int = 0
    ) -> tuple[dict[str, np.ndarray], float]:
        """Return what a silo sends: its clipped update, and whether it was within the norm.

        Parameters
        ----------
        update : mapping of str to ndarray
        noise : NoiseSource, optional
        share : int, default=0
            With n > 0 the silo adds noise of 1 / n of the variance itself, so that the sum of n
            silos or more is noised enough. In a secure sum n is the threshold: then nobody sees
            less noise than that, and the coordinator need not be trusted.

        Returns
        -------
        update : dict of str to ndarray
        within : float
            1 or 0, minus one half; noised too with `share`.
        """
        clipped, within = clip_update(update, self.clip_norm)
        bit = float(within) - 0.5
        if share:
            assert noise is not None
            part = 1.0 / sqrt(share)
            scale = part * self.update_noise * self.clip_norm
            for name in sorted(clipped):
                clipped[name] += noise.normal(clipped[name].shape, scale)
            if self.adaptive is not None:
                bit += float(noise.normal(1, part * self.count_noise)[0])
        return clipped, bit

    def mean(
        self,
        total: Mapping[str, np.ndarray],
        noise: NoiseSource | None = None,
    ) -> dict[str, np.ndarray]:
        """Return the mean update from the sum of clipped ones.

        Parameters
        ----------
        total : mapping of str to ndarray
        noise : NoiseSource, optional
            Of the coordinator, who adds it here; None where the silos have added theirs.
        """
        scale = self.update_noise * self.clip_norm
        return {
            name: (
                np.asarray(total[name], np.float64)
                + (noise.normal(np.shape(total[name]), scale) if noise else 0.0)
            )
            / self._expected()
            for name in sorted(total)
        }

    def next(self, bits: float, noise: NoiseSource | None = None) -> SiloPrivacy:
        """Return the settings of the next round: with another norm, where clipping is adaptive.

        Parameters
        ----------
        bits : float
            Sum of what `clip` returned beside the updates.
        noise : NoiseSource, optional
            As for `mean`.
        """
        if self.adaptive is None:
            return self
        if noise is not None:
            bits = bits + float(noise.normal(1, self.count_noise)[0])
        share = bits / self._expected() + 0.5
        moved = exp(-self.adaptive.rate * (min(max(share, 0.0), 1.0) - self.adaptive.quantile))
        return replace(self, clip_norm=self.clip_norm * moved)

    def event(self) -> PrivacyEvent:
        """Return what a round costs, the count of updates within the norm included."""
        return PrivacyEvent(
            self.noise_multiplier,
            sampling_rate=self.sampling_rate,
            unit="silo",
            purpose="a round of updates",
        )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON, for a request."""
        return asdict(self)

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> SiloPrivacy:
        """Return what `to_dict` wrote."""
        adaptive = facts["adaptive"]
        return cls(
            float(facts["clip_norm"]),
            float(facts["noise_multiplier"]),
            float(facts["sampling_rate"]),
            AdaptiveClipping(**adaptive) if adaptive else None,
            float(facts["expected"]),
        )

    def _expected(self) -> float:
        if not self.expected > 0:
            raise ConfigurationError(
                "invalid_param", "The number of silos is not known.", "Take privacy.of(n_silos)."
            )
        return self.expected
