"""Loads boosters from their saved form, once the content is checked."""

from __future__ import annotations

from typing import Any

from sparkml_dist.errors import ConfigurationError, StorageError
from sparkml_dist.persistence.boosters.xgboost_model import check_xgboost

__all__ = ["loaded_booster", "require_xgboost"]


def require_xgboost() -> Any:
    """Import XGBoost.

    Raises
    ------
    ConfigurationError
        ``booster_missing``.
    """
    try:
        import xgboost
    except ImportError as error:
        raise ConfigurationError(
            "booster_missing",
            f"This needs the package 'xgboost', which is not installed here ({error}).",
            "pip install 'sparkml_dist[boost]', on the driver and on every worker",
        ) from error
    return xgboost


def loaded_booster(content: bytes, where: str, booster: Any = None) -> Any:
    """Return the booster in a model's content.

    Parameters
    ----------
    content : bytes
        UBJSON of XGBoost.
    where : str
        Place of the content, for messages.
    booster : xgboost.Booster, optional
        Takes the trees; a new one by default.

    Returns
    -------
    xgboost.Booster

    Raises
    ------
    StorageError
        ``booster_not_loaded``.
    """
    xgboost = require_xgboost()
    try:
        check_xgboost(content)
        found = xgboost.Booster() if booster is None else booster
        found.load_model(bytearray(content))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StorageError(
            "booster_not_loaded",
            f"The booster in {where!r} cannot be loaded: {reason}",
            "It was truncated or altered: restore it, or fit the model again.",
        ) from error
    return found
