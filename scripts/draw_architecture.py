"""Draw docs/architecture.svg: the rooms of the library on their floors, from the imports.

A room is a folder of ``sparkml_dist``; the modules beside these are one room together. It stands
one floor above the highest room that it imports. An arrow leads to each room that it imports,
unless it reaches that room through another one as well. The picture depends on nothing else, so
that a test can compare it.
"""

from __future__ import annotations

import argparse
import ast
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "architecture.svg"
PACKAGE = "sparkml_dist"
# In inches.
WIDTH, FLOOR, BOX_WIDTH, BOX_HEIGHT = 7.0, 0.75, 1.35, 0.42

Graph = Mapping[str, set[str]]


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=PICTURE)
    parser.parse_args().output.write_text(picture(rooms_and_imports(ROOT)))


def rooms_and_imports(root: Path) -> dict[str, set[str]]:
    """Return every room of the project under `root` with the rooms that it imports.

    Imports inside functions and under ``TYPE_CHECKING`` count. The jobs are one room more.
    """
    package = root / PACKAGE
    modules = {path.stem for path in package.glob("*.py")} - {"__init__"}
    together = " ".join(f"{name}.py" for name in sorted(modules))
    files = {path: f"{path.relative_to(package).parts[0]}/" for path in _python(package)}
    files |= dict.fromkeys(package.glob("*.py"), together) | dict.fromkeys(
        _python(root / "jobs"), "jobs/"
    )
    del files[package / "__init__.py"]  # it names what all of them offer
    found: dict[str, set[str]] = {room: set() for room in files.values()}
    for path, room in files.items():
        imported = {together if name in modules else f"{name}/" for name in _imported(path)}
        found[room] |= (imported & set(found)) - {room}
    return found


def floors(graph: Graph) -> dict[str, int]:
    """Return the floor of every room, 0 for those that import none.

    Raises
    ------
    ValueError
        Where rooms import each other in a circle.
    """
    level: dict[str, int] = {}
    while len(level) < len(graph):
        ready = [room for room in graph if room not in level and graph[room] <= set(level)]
        if not ready:
            raise ValueError(f"Rooms import each other: {sorted(set(graph) - set(level))}.")
        level |= {r: max((level[below] for below in graph[r]), default=-1) + 1 for r in ready}
    return level


def direct(graph: Graph) -> dict[str, set[str]]:
    """Return the imports of every room but those that it has through another room as well."""

    def reached(room: str) -> set[str]:
        return graph[room].union(*map(reached, graph[room]))

    return {room: below.difference(*map(reached, below)) for room, below in graph.items()}


def picture(graph: Graph) -> str:
    """Return the picture as SVG."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

    places = _places(floors(graph))
    height = FLOOR * (1 + max(floors(graph).values()))
    # Without text as paths it would be ten times as large; without a salt, new at each run.
    with matplotlib.rc_context({"svg.hashsalt": PACKAGE, "svg.fonttype": "none"}):
        figure = Figure(figsize=(WIDTH, height))
        FigureCanvasSVG(figure)
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, height))
        axes.axis("off")
        for room, below in sorted(direct(graph).items()):
            x, y = places[room]
            for other in sorted(below):
                end_x, end_y = places[other]
                axes.add_patch(
                    FancyArrowPatch(
                        (x, y - BOX_HEIGHT / 2),
                        (end_x, end_y + BOX_HEIGHT / 2),
                        arrowstyle="-|>",
                        mutation_scale=9,
                        color="#7a8794",
                        linewidth=0.9,
                        shrinkA=0,
                        shrinkB=1,
                        zorder=1,
                    )
                )
        for room, (x, y) in sorted(places.items()):
            width = max(BOX_WIDTH, 0.1 * len(room))
            axes.add_patch(
                FancyBboxPatch(
                    (x - width / 2, y - BOX_HEIGHT / 2),
                    width,
                    BOX_HEIGHT,
                    boxstyle="round,pad=0,rounding_size=0.08",
                    facecolor="#e8f0f8" if room.endswith("/") else "#f4f4f0",
                    edgecolor="#33485c",
                    linewidth=0.9,
                    zorder=2,
                )
            )
            axes.text(x, y, room, ha="center", va="center", fontsize=10, zorder=3)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def _python(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def _imported(path: Path) -> Iterator[str]:
    """Yield the rooms, or names of the package, that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            package, *inside = node.module.split(".")
            if package == PACKAGE:
                yield from inside[:1] or [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                package, *inside = alias.name.split(".")
                if package == PACKAGE:
                    yield from inside[:1]


def _places(level: Mapping[str, int]) -> dict[str, tuple[float, float]]:
    """Return the middle of every room's box."""
    found = {}
    for floor in set(level.values()):
        here = sorted(room for room in level if level[room] == floor)
        for i, room in enumerate(here):
            x = WIDTH * (i + 1) / (len(here) + 1)
            found[room] = (x, FLOOR * (floor + 0.5))
    return found


if __name__ == "__main__":
    main()
