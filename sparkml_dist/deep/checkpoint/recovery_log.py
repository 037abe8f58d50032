"""Logs the events of a training's checkpoints and launches."""

from __future__ import annotations

import logging
from typing import Any

__all__ = ["log_recovery"]

_logger = logging.getLogger(__name__)


def log_recovery(event: dict[str, Any]) -> None:
    """Log an event of rank 0 about checkpoints; ignore others."""
    match event["event"]:
        case "resumed":
            _logger.info(
                "resumes from the checkpoint %s: epoch %d, step %d",
                event["checkpoint"],
                event["epoch"] + 1,
                event["step"],
            )
        case "checkpoint":
            _logger.debug(
                "checkpoint of step %d: %d bytes in %.2f s",
                event["steps"],
                event["bytes"],
                event["seconds"],
            )
        case "checkpoint_skipped":
            _logger.warning(
                "the checkpoint %s is skipped, and the previous one is used if there is one: %s",
                event["checkpoint"],
                event["problem"],
            )
        case "checkpoint_failed":
            _logger.warning(
                "no checkpoint could be written at step %d; the training continues: %s",
                event["steps"],
                event["problem"],
            )
