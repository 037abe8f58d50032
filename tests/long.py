"""Cases of a parametrized test of which `make test` runs some, and `make test-long` all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def cases(of_all: Iterable[Any], core: Iterable[Any]) -> list[Any]:
    """Return cases for ``parametrize``, those that are not among `core` marked ``long``."""
    short = list(core)
    return [
        case
        if case in short
        else pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.long)
        for case in of_all
    ]
