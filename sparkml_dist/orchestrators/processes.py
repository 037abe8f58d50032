"""Ends a process with all that it started."""

from __future__ import annotations

import time
from collections.abc import Iterable

import psutil

__all__ = ["end_processes", "process_tree"]

_POLL = 0.05


def process_tree(pid: int) -> list[psutil.Process]:
    """Return a process and its descendants, also those in sessions and groups of their own.

    Parameters
    ----------
    pid : int
        The process.

    Returns
    -------
    list of psutil.Process
        Empty where it has ended.
    """
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def end_processes(tree: Iterable[psutil.Process], grace: float) -> int:
    """Ask processes to end, and kill those that have not after a time.

    A job that is asked releases the lock of its output folder, and says in its metrics that it was
    interrupted.

    Parameters
    ----------
    tree : iterable of psutil.Process
        What `process_tree` returned. Descendants that are started meanwhile are ended too.
    grace : float
        Seconds to wait before the kill.

    Returns
    -------
    int
        Number of processes that were killed.
    """
    known = set(tree)
    for process in list(known):
        _send(process, "terminate")
    deadline = time.monotonic() + grace
    while (alive := _alive(known)) and time.monotonic() < deadline:
        time.sleep(_POLL)
    killed = 0
    while alive := _alive(known):
        for process in alive:
            killed += _send(process, "kill")
        time.sleep(_POLL)
    return killed


def _alive(known: set[psutil.Process]) -> list[psutil.Process]:
    """Return those that run; adds their children to `known`. Its parent reaps a zombie."""
    found = []
    for process in list(known):
        try:
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
                known.update(process.children(recursive=True))
        except psutil.Error:
            continue
    return found


def _send(process: psutil.Process, signal: str) -> bool:
    try:
        getattr(process, signal)()
    except psutil.Error:
        return False
    return True
