"""What ``sparkml-dist doctor`` finds: one line for each thing that was looked at."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict, dataclass
from typing import Any

from sparkml_dist.errors import ResourceError

__all__ = ["Finding", "as_json", "as_table", "bad", "good", "plain", "status_of"]

_MARKS = {"ok": "✓", "wrong": "✗", "note": "·"}
_WIDTH = 96


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    name : str
        Of the thing.
    state : str
        ``"ok"``, ``"wrong"``, or ``"note"`` for what some uses need and is not there.
    found : str
        What it is like.
    remedy : str
        What to do, where it is not ok.
    """

    name: str
    state: str
    found: str
    remedy: str = ""


def good(name: str, found: str) -> Finding:
    """Return a finding that is as it should be."""
    return Finding(name, "ok", found)


def bad(name: str, found: str, remedy: str) -> Finding:
    """Return a finding that must be mended."""
    return Finding(name, "wrong", found, remedy)


def plain(name: str, found: str, remedy: str = "") -> Finding:
    """Return a finding that only some uses need mended."""
    return Finding(name, "note", found, remedy)


def status_of(findings: list[Finding]) -> int:
    """Return 0, or the exit status of a `ResourceError` where anything is wrong."""
    return ResourceError.exit_status if any(f.state == "wrong" for f in findings) else 0


def as_json(findings: list[Finding], **more: Any) -> str:
    """Return the findings as a JSON document on one line."""
    status = status_of(findings)
    return json.dumps(
        {"status": status, "findings": [asdict(f) for f in findings], **more}, default=str
    )


def as_table(findings: list[Finding]) -> str:
    """Return the findings as lines of text, what to do indented under what is not ok."""
    width = max((len(f.name) for f in findings), default=0)
    lines = []
    for finding in findings:
        hanging = " " * (width + 4)
        first = f"{_MARKS[finding.state]} {finding.name:<{width}}  "
        wrapped = textwrap.wrap(
            finding.found, _WIDTH, initial_indent=first, subsequent_indent=hanging
        )
        lines += wrapped or [first.rstrip()]
        if finding.remedy:
            lines += textwrap.wrap(
                finding.remedy,
                _WIDTH,
                initial_indent=f"{hanging}→ ",
                subsequent_indent=f"{hanging}  ",
                break_long_words=False,
                break_on_hyphens=False,
            )
    wrong = sum(f.state == "wrong" for f in findings)
    end = "nothing is wrong" if not wrong else f"{wrong} to mend"
    return "\n".join([*lines, f"{len(findings)} looked at, {end}"])
