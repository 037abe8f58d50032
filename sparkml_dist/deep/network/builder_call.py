"""Calls a user's builder on a rank; other modules check its result."""

from __future__ import annotations

import inspect
import pickle
import socket
from collections.abc import Callable
from typing import Any

from sparkml_dist.deep.network.builder_spec import BuilderFile
from sparkml_dist.errors import ConfigurationError, SparkMLDistError

__all__ = ["builder_name", "call_builder", "load_builder", "takes"]


def load_builder(pickled: bytes, what: str = "builder") -> Callable[..., Any]:
    """Return the user's function from its pickle.

    Parameters
    ----------
    pickled : bytes
    what : str, default="builder"
        Name of the function, for messages.

    Raises
    ------
    ConfigurationError
        ``builder_not_loaded`` when it needs something that is missing on this host, or that of
        `BuilderFile.load`.
    """
    try:
        found: Callable[..., Any] | BuilderFile = pickle.loads(pickled)  # noqa: S301
    except Exception as error:
        raise ConfigurationError(
            "builder_not_loaded",
            f"The {what} cannot be loaded on {socket.gethostname()}: "
            f"{type(error).__name__}: {error}",
            "Import what it needs inside the function, and install these packages on every worker.",
        ) from error
    return found.load() if isinstance(found, BuilderFile) else found


def takes(builder: Callable[..., Any], name: str) -> bool:
    """Tell whether a builder has a parameter called `name`."""
    try:
        return name in inspect.signature(builder).parameters
    except (TypeError, ValueError):
        return False


def call_builder(
    builder: Callable[..., Any], offered: dict[str, Any], what: str = "builder"
) -> Any:
    """Call a user's function with those of the offered keyword arguments that it accepts.

    Raises
    ------
    ConfigurationError
        ``builder_signature`` when it requires other arguments, ``builder_failed`` when it raises.
    """
    try:
        parameters = inspect.signature(builder).parameters.values()
    except (TypeError, ValueError):
        parameters = ()  # type: ignore[assignment]
    needed = [
        p.name
        for p in parameters
        if p.default is p.empty
        and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        and (p.name not in offered or p.kind is p.POSITIONAL_ONLY)
    ]
    if needed:
        raise ConfigurationError(
            "builder_signature",
            f"The {what} {builder_name(builder)} must require no other arguments than "
            f"{', '.join(offered) or 'none at all'}. Got: {', '.join(needed)}.",
            "Give the other arguments defaults, or bind them with functools.partial.",
        )
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters)
    names = {p.name for p in parameters}
    try:
        return builder(**{k: v for k, v in offered.items() if open_ended or k in names})
    except SparkMLDistError:
        raise
    except Exception as error:
        raise ConfigurationError(
            "builder_failed",
            f"The {what} {builder_name(builder)} raised {type(error).__name__}: {error}",
            "Call it on its own with the same arguments to see the whole trace.",
        ) from error


def builder_name(builder: Any) -> str:
    """Return the name of a builder, for messages."""
    return str(getattr(builder, "__name__", None) or type(builder).__name__)
