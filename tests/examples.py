"""The code that documents show, run as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def blocks(document: Path, language: str = "python") -> list[str]:
    """Return a document's code blocks in `language`."""
    return re.findall(rf"```{language}\n(.*?)```", document.read_text(), re.DOTALL)


def run_here(code: str, home: Path) -> None:
    """Run code in this process and on its Spark session; what it writes to build/ is in `home`."""
    (home / "build").mkdir(exist_ok=True)
    # The JVM does not change its folder with this process.
    for folder, place in (("build", home), ("data", ROOT)):
        code = re.sub(rf"(?<=[\"']){folder}/", f"{place}/{folder}/", code)
    exec(compile(code, "<example>", "exec"), {"__name__": "an_example"})
