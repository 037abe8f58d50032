"""What the driver tells every task of a gang."""

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
        Random name of this gang.
    work : bytes
        Pickle of the function and its argument; goes on to the rank's process through a pipe.
    modules : tuple of str
        Modules that a rank's process imports while the gang assembles.
    required : tuple of str
        Modules that the interpreter of every rank must have.
    environment : dict
        What the caller adds to the environment of every rank.
    log_folder : Folder or None
        Where logs and events are left.
    start_seconds : float
        How long a rank's process may take to start.
    silence_seconds : float or None
        How long it, or its task, may send no heartbeat afterwards; None for ever.
    stall_seconds : float or None
        How long all ranks may go without an advance; None for ever.
    warm_seconds : float
        How long an executor keeps what `modules` load, without ranks; 0 for not at all.
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
