"""Puts the jobs into the wheel, as the folder ``jobs`` of the package.

An editable installation has none: there they lie beside the package.
"""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class JobsInWheel(BuildHookInterface):
    """The hook that hatchling calls before it builds a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the folder to what a wheel that is no editable one holds."""
        if version == "standard":
            build_data["force_include"]["jobs"] = "sparkml_dist/jobs"
