"""The one accountant: what was spent of privacy, over all strategies and statistics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from sparkml_dist.errors import ConfigurationError, TrainingError
from sparkml_dist.federated.privacy.event import UNITS, PrivacyEvent
from sparkml_dist.federated.privacy.packages import needed

KINDS = ("pld", "rdp")
_Profile = frozenset[tuple[PrivacyEvent, int]]


class PrivacyAccountant:
    """Adds up the privacy loss ε of all events at one δ, and stops what would exceed a budget.

    Parameters
    ----------
    delta : float, default=1e-5
        The δ of (ε, δ)-differential privacy, well below one over the number of records.
    budget : float, optional
        Largest ε. `spend` raises before an event that would exceed it.
    kind : {"pld", "rdp"}, default="pld"
        Privacy loss distributions, which are tight up to a grid of 1e-4, or Rényi differential
        privacy, which is faster and a few per cent larger.
    unit : {"record", "silo"}, default="record"
        What is hidden: one record more or less, or one silo more or less. A record lies in one
        silo, so events in different silos do not add up for records: ε is that of the silo that
        spent most.

    References
    ----------
    I. Mironov. Rényi differential privacy. CSF, 2017. arXiv 1702.07476.

    S. Meiser, E. Mohammadi. Tight on budget? Tight bounds for r-fold approximate differential
    privacy. ACM CCS, 2018. The computation is that of the package ``dp-accounting``.

    Examples
    --------
    >>> from sparkml_dist.federated.privacy import PrivacyAccountant, PrivacyEvent
    >>> accountant = PrivacyAccountant(delta=1e-5, budget=5.0)
    >>> accountant.spend(PrivacyEvent(noise_multiplier=10.0, count=100))
    >>> round(accountant.epsilon, 4)
    4.3772
    """

    def __init__(
        self,
        delta: float = 1e-5,
        budget: float | None = None,
        kind: str = "pld",
        unit: str = "record",
    ) -> None:
        if kind not in KINDS or unit not in UNITS or not 0 < delta < 1 or (budget or 1.0) <= 0:
            raise ConfigurationError(
                "invalid_param",
                f"An accountant cannot have delta={delta}, budget={budget}, kind={kind!r}, "
                f"unit={unit!r}.",
                f"delta is between 0 and 1, budget above 0, kind one of {', '.join(KINDS)}, "
                f"unit one of {', '.join(UNITS)}.",
            )
        needed("dp_accounting")
        self.delta = delta
        self.budget = budget
        self.kind = kind
        self.unit = unit
        # By silo; None stands for what all silos spent.
        self._spent: dict[str | None, Counter[PrivacyEvent]] = {None: Counter()}

    @property
    def epsilon(self) -> float:
        """The loss ε up to now; 0.0 before the first event."""
        return max(self._epsilon_of(name, {}) for name in self._spent)

    def epsilon_of(self, silo: str) -> float:
        """Return the loss of the records of one silo."""
        return self._epsilon_of(silo if silo in self._spent else None, {})

    def epsilon_after(self, event: PrivacyEvent, silos: Iterable[str] | None = None) -> float:
        """Return the loss that there would be after one more event."""
        once, more = self._counted(event)
        names = self._names(silos)
        after = [self._epsilon_of(name, {once: more}) for name in names]
        if None in names:
            after += [self._epsilon_of(name, {once: more}) for name in self._spent]
        return max([self.epsilon, *after])

    def spend(self, event: PrivacyEvent, silos: Iterable[str] | None = None) -> None:
        """Count an event, before it happens.

        Parameters
        ----------
        event : PrivacyEvent
        silos : iterable of str, optional
            Silos in which it happens; all by default. With ``unit="silo"`` always all.

        Raises
        ------
        ConfigurationError
            ``conflicting_params``: the accountant is about silos and the event about records, or
            its kind has no bound for the mechanism.
        TrainingError
            ``privacy_budget_used_up``: ε would exceed the budget. Nothing is counted then.
        """
        if isinstance(silos, Iterable):
            silos = list(silos)
        if self.budget is not None and event.count:
            after = self.epsilon_after(event, silos)
            if after > self.budget:
                raise TrainingError(
                    "privacy_budget_used_up",
                    f"{event.count} × {event.purpose or event.mechanism} would bring epsilon from "
                    f"{self.epsilon:.6g} to {after:.6g}, above the budget of {self.budget:g} at "
                    f"delta {self.delta:g}.",
                    "What was trained before is whole. More noise or fewer rounds cost less.",
                )
        once, more = self._counted(event)
        for name in self._names(silos):
            self._spent.setdefault(name, Counter())[once] += more

    def affordable(self, event: PrivacyEvent, silos: Iterable[str] | None = None) -> int | None:
        """Return how many more such events the budget allows; None without a budget."""
        if self.budget is None:
            return None
        names = None if silos is None else list(silos)
        fits, over = 0, 1
        while self.epsilon_after(replace(event, count=over * event.count), names) <= self.budget:
            fits, over = over, 2 * over
        while over - fits > 1:
            middle = (fits + over) // 2
            after = self.epsilon_after(replace(event, count=middle * event.count), names)
            fits, over = (middle, over) if after <= self.budget else (fits, middle)
        return fits

    def to_dict(self) -> dict[str, Any]:
        """Return the settings and all that was spent, as JSON."""
        return {
            "delta": self.delta,
            "budget": self.budget,
            "kind": self.kind,
            "unit": self.unit,
            "spent": [
                {"silo": name, **replace(event, count=count).to_dict()}
                for name, events in self._spent.items()
                for event, count in events.items()
            ],
        }

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> PrivacyAccountant:
        """Return the accountant that `to_dict` wrote."""
        accountant = cls(facts["delta"], facts["budget"], facts["kind"], facts["unit"])
        for entry in facts["spent"]:
            once, count = accountant._counted(PrivacyEvent.from_dict(entry))
            accountant._spent.setdefault(entry["silo"], Counter())[once] += count
        return accountant

    def _names(self, silos: Iterable[str] | None) -> list[str | None]:
        return [None] if silos is None or self.unit == "silo" else [*silos]

    def _counted(self, event: PrivacyEvent) -> tuple[PrivacyEvent, int]:
        """Return what makes events equal for the loss, and how many there are."""
        if self.unit == "silo" and event.unit == "record":
            raise ConfigurationError(
                "conflicting_params",
                "Noise that hides a record does not hide a silo, which the accountant is about.",
                "Clip and noise the updates of whole silos, or take unit='record'.",
            )
        return replace(event, count=1, purpose="", unit=self.unit), event.count

    def _epsilon_of(self, silo: str | None, more: Mapping[PrivacyEvent, int]) -> float:
        spent = Counter(self._spent[None])
        if silo is not None:
            spent.update(self._spent.get(silo, {}))
        spent.update(more)
        profile = frozenset((event, count) for event, count in spent.items() if count)
        return _loss(profile, self.kind, self.delta) if profile else 0.0


# The silos of a federation, and its coordinator, ask for the same losses in each round.
@lru_cache(maxsize=4096)
def _loss(profile: _Profile, kind: str, delta: float) -> float:
    """Return ε at δ of events and their numbers."""
    events = needed("dp_accounting.dp_event")
    kinds = {
        "pld": ("dp_accounting.pld", "PLDAccountant"),
        "rdp": ("dp_accounting.rdp", "RdpAccountant"),
    }
    module, name = kinds[kind]
    accountant = getattr(needed(module), name)()
    for event, count in sorted(profile, key=repr):
        one = event.once()
        if not accountant.supports(one):
            other = next(other for other in KINDS if other != kind)
            raise ConfigurationError(
                "conflicting_params",
                f"An accountant of the kind {kind!r} has no bound for {event.mechanism} "
                f"noise with the sampling rate {event.sampling_rate:g}.",
                f"Take kind={other!r}, or another mechanism.",
            )
        accountant.compose(events.SelfComposedDpEvent(one, count))
    return float(accountant.get_epsilon(delta))


def calibrated_noise(
    epsilon: float,
    delta: float = 1e-5,
    sampling_rate: float = 1.0,
    steps: int = 1,
    kind: str = "pld",
) -> float:
    """Return the noise multiplier of Gaussian noise with which `steps` events cost `epsilon`.

    Parameters
    ----------
    epsilon, delta : float
    sampling_rate : float, default=1.0
    steps : int, default=1
    kind : {"pld", "rdp"}, default="pld"

    Examples
    --------
    >>> from sparkml_dist.federated.privacy import calibrated_noise
    >>> round(calibrated_noise(epsilon=1.0, delta=1e-5), 4)
    3.7306
    """
    from scipy.optimize import brentq

    def excess(noise: float) -> float:
        accountant = PrivacyAccountant(delta, kind=kind)
        accountant.spend(PrivacyEvent(noise, sampling_rate=sampling_rate, count=steps))
        return accountant.epsilon - epsilon

    low = high = 1.0
    while excess(high) > 0:
        high *= 2.0
    while excess(low) < 0:
        low /= 2.0
    return low if low == high else float(brentq(excess, low, high, xtol=1e-9, rtol=1e-9))
