"""Distributions of a random search, saved as a name and numbers.

SciPy's own objects generate code from their saved state when loaded, so no file may contain them.
"""

from __future__ import annotations

from typing import Any

__all__ = ["frozen", "store_distributions"]


def frozen(name: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """Return a distribution of `scipy.stats` with fixed parameters.

    Parameters
    ----------
    name : str
        For example ``"loguniform"``.
    args, keywords
        Numbers.

    Raises
    ------
    ValueError
        The name is not a distribution of SciPy, or a parameter is not a number.
    """
    import scipy.stats

    if not isinstance(name, str) or name not in _names():
        raise ValueError(f"{name!r} is not a distribution of scipy.stats")
    given = [*args, *keywords.values()]
    if not all(isinstance(value, int | float) for value in given):
        raise ValueError(f"the parameters of {name} must be numbers")
    return getattr(scipy.stats, name)(*args, **keywords)


def _names() -> set[str]:
    from scipy.stats import _continuous_distns, _discrete_distns

    return {*_continuous_distns._distn_names, *_discrete_distns._distn_names}


def store_distributions() -> None:
    """Make skops save distributions as calls of `frozen`; further calls change nothing."""
    from scipy.stats._distn_infrastructure import rv_frozen
    from skops.io._utils import _get_state, get_state

    def described(obj: Any, context: Any) -> dict[str, Any]:
        args = tuple(value.item() if hasattr(value, "item") else value for value in obj.args)
        return {
            "__class__": "frozen",
            "__module__": __name__,
            "__loader__": "ConstructorFromReduceNode",
            "content": get_state((obj.dist.name, args, dict(obj.kwds)), context),
        }

    _get_state.register(rv_frozen)(described)
