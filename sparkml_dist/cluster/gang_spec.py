"""What the driver sends to every task of a gang."""

from __future__ import annotations

from dataclasses import dataclass

from sparkml_dist.persistence.filesystem import Folder

__all__ = ["GangSpec"]


@dataclass(frozen=True)
class GangSpec:
    """A gang as its tasks see it.

    Attributes
    ----------
    gang : str
        Random name of the gang.
    work : bytes
        Pickle of the function and its argument, passed to the rank's process through a pipe.
    modules : tuple of str
        Modules that a rank's process imports while the gang assembles.
    required : tuple of str
        Modules that the interpreter of every rank must have.
    environment : dict
        Variables that the caller adds to the environment of every rank.
    log_folder : Folder or None
        Folder of logs and events.
    start_seconds : float
        Time for a rank's process to start.
    silence_seconds : float or None
        Time without a heartbeat of a rank or its task; None for no limit.
    stall_seconds : float or None
        Time without an advance of any rank; None for no limit.
    warm_seconds : float
        How long an executor without ranks keeps the imports of `modules`; 0 for not at all.
    memory_limit : int or None
        Bytes that a rank's process may take beyond its imports; None for no limit.
    """

    gang: str
    work: bytes
    modules: tuple[str, ...]
    required: tuple[str, ...]
    environment: dict[str, str]
    log_folder: Folder | None
    start_seconds: float
    silence_seconds: float | None
    stall_seconds: float | None
    warm_seconds: float
    memory_limit: int | None = None
