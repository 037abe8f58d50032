"""Limits on patterns and on the times of matching events."""

from __future__ import annotations

from dataclasses import dataclass

from sparkml_dist.errors import ConfigurationError

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """Limits on patterns and on the times of the events that match them; both ends included.

    Attributes
    ----------
    max_length : int or None
        Most items of a pattern.
    min_gap, max_gap : float or None
        Time from the event that matches an element to that of the next.
    max_span : float or None
        Time from the first matching event to the last.
    """

    max_length: int | None = None
    min_gap: float | None = None
    max_gap: float | None = None
    max_span: float | None = None

    @property
    def earliest_end_suffices(self) -> bool:
        """Whether the earliest match of a prefix has all extensions that other matches have."""
        return self.max_gap is None and self.max_span is None

    def check(self) -> None:
        """Raise unless the limits are consistent.

        Raises
        ------
        ConfigurationError
            ``invalid_param``.
        """
        for name in ("min_gap", "max_gap", "max_span"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                canonical = name.replace("_g", "G").replace("_s", "S")
                raise ConfigurationError(
                    "invalid_param", f"{canonical} must be at least 0. Got {value!r}."
                )
        if self.min_gap is not None:
            for name, most in (("maxGap", self.max_gap), ("maxSpan", self.max_span)):
                if most is not None and most < self.min_gap:
                    raise ConfigurationError(
                        "invalid_param",
                        f"{name} ({most!r}) is less than minGap ({self.min_gap!r}), so that no "
                        "pattern of two events could match.",
                    )
