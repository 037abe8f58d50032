"""The rank's side of the rendezvous: values that one rank stores and the others wait for."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from typing import Any

from sparkml_dist.cluster.rendezvous import ADDRESS
from sparkml_dist.errors import TrainingError

__all__ = ["rendezvous_host", "shared_value"]

_POLL_SECONDS = 0.05
_REQUEST_SECONDS = 10.0


def rendezvous_host() -> str:
    """Return the address of rank 0's host on the network between the ranks."""
    return os.environ[ADDRESS].partition(":")[0]


def shared_value(scope: str, value: Any = None, *, seconds: float) -> Any:
    """Store a value for all ranks, or wait for the one that another rank stores.

    Parameters
    ----------
    scope : str
        Name of the value; one rank stores it once.
    value : JSON value, optional
        What to store; None to wait.
    seconds : float
        Longest time to wait.

    Returns
    -------
    JSON value

    Raises
    ------
    TrainingError
        ``rank_lost`` when no rank stores it in time.
    """
    server, _, secret = os.environ[ADDRESS].partition("/")
    place = f"http://{server}/{secret}:0/{scope}/value"
    if value is not None:
        request = urllib.request.Request(place, json.dumps(value).encode(), method="PUT")
        with _opened(request):
            return value
    end = time.monotonic() + seconds
    while True:
        try:
            with _opened(urllib.request.Request(place)) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
        if time.monotonic() > end:
            raise TrainingError(
                "rank_lost",
                f"No rank has said within {seconds:g} s how to reach it ({scope}).",
                "See the log of rank 0.",
            )
        time.sleep(_POLL_SECONDS)


def _opened(request: urllib.request.Request) -> Any:
    # Without the proxies of the environment: the address is one of the cluster.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return opener.open(request, timeout=_REQUEST_SECONDS)
