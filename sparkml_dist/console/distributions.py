"""The installed distributions: what each requires, and the files that it consists of."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path, PurePosixPath

from sparkml_dist.errors import ConfigurationError, nearest

__all__ = ["files_of", "installed", "is_editable", "normalized", "with_requirements"]


def normalized(name: str) -> str:
    """Return the name of a distribution as packaging tools compare it."""
    return name.lower().replace("_", "-").replace(".", "-")


def installed() -> dict[str, Distribution]:
    """Return the distributions of this environment by normalized name; the first on the path."""
    found: dict[str, Distribution] = {}
    for distribution in distributions():
        if name := distribution.metadata["Name"]:
            found.setdefault(normalized(name), distribution)
    return found


def with_requirements(names: Iterable[str], among: dict[str, Distribution]) -> list[str]:
    """Return distributions and all that they require, sorted.

    Parameters
    ----------
    names : iterable of str
        Such as ``"sparkml_dist"`` or ``"sparkml_dist[deep]"``.
    among : dict
        As returned by `installed`. Requirements that are not there are left out.

    Raises
    ------
    ConfigurationError
        ``distribution_not_found`` where one of `names` is not installed.
    """
    from packaging.requirements import Requirement

    done: set[tuple[str, str]] = set()
    found: set[str] = set()
    wanted = [Requirement(name) for name in names]
    for requirement in wanted:
        if normalized(requirement.name) not in among:
            raise ConfigurationError(
                "distribution_not_found",
                f"{requirement.name!r} is not installed in {sys.prefix}."
                + nearest(normalized(requirement.name), among),
                "pip install it here first.",
            )
    while wanted:
        requirement = wanted.pop()
        name = normalized(requirement.name)
        if name not in among:
            continue
        found.add(name)
        for extra in ("", *requirement.extras):
            if (name, extra) in done:
                continue
            done.add((name, extra))
            for text in among[name].requires or ():
                needed = Requirement(text)
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    wanted.append(needed)
    return sorted(found)


def is_editable(distribution: Distribution) -> bool:
    """Return whether a distribution is installed as a link to its source."""
    text = distribution.read_text("direct_url.json")
    return bool(text and json.loads(text).get("dir_info", {}).get("editable"))


def files_of(distribution: Distribution) -> Iterator[tuple[Path, PurePosixPath]]:
    """Yield the files of a distribution in site-packages: where each lies, and its name there.

    Compiled bytecode is among them where it exists.

    Raises
    ------
    ConfigurationError
        ``distribution_not_found`` for a distribution without a list of its files.
    """
    if distribution.files is None:
        raise ConfigurationError(
            "distribution_not_found",
            f"{distribution.metadata['Name']} has no list of its files (RECORD).",
            "Install it with pip; pack a conda environment with conda-pack.",
        )
    seen: set[PurePosixPath] = set()
    for file in distribution.files:
        name = PurePosixPath(file)
        if ".." in name.parts or name.is_absolute() or name in seen:
            continue
        seen.add(name)
        path = Path(str(distribution.locate_file(file)))
        if not path.is_file():
            continue
        yield path, name
        if name.suffix == ".py":
            compiled = f"{name.stem}.{sys.implementation.cache_tag}.pyc"
            bytecode = path.parent / "__pycache__" / compiled
            stored = name.parent / "__pycache__" / compiled
            if bytecode.is_file() and stored not in seen:
                seen.add(stored)
                yield bytecode, stored
