"""Print what the demo's jobs achieved as one table, from their metrics files.

python scripts/demo_table.py build/demo
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

HEAD = (
    "data set",
    "method",
    "rows",
    "data MB",
    "shards",
    "budget",
    "accuracy",
    "log loss",
    "seconds",
    "peak worker MB",
)
LEFT = 2  # the first columns are text


def row(folder: Path) -> tuple[str, ...]:
    """Return the table's row for the output folder of one job, named METHOD-DATASET."""
    metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    plan = json.loads((folder / "job.json").read_text())["plan"]
    if lender := plan["shards_from"]:
        plan = json.loads((Path(lender) / "job.json").read_text())["plan"]
    method, _, data_set = folder.name.partition("-")
    members, ranks = metrics.get("members"), metrics.get("ranks")
    size = f"{members} members" if members else f"{ranks} ranks"
    scores = metrics["metrics"]
    return (
        data_set,
        f"{method}, {size}",
        f"{metrics['rows']:,}",
        # As the float32 matrix that a learner on one machine would hold.
        f"{metrics['rows'] * metrics['features'] * 4 / 2**20:,.1f}",
        str(metrics["shards"]),
        plan["memory_per_task"] or "-",
        f"{scores['accuracy']:.4f}",
        f"{scores['log_loss']:.4f}",
        f"{metrics['seconds']['total']:.0f}",
        f"{metrics['memory']['peak_worker_rss_mb']:.0f}",
    )


def table(rows: list[tuple[str, ...]]) -> str:
    """Return the rows under their heads, columns aligned."""
    widths = [max(len(cell) for cell in column) for column in zip(HEAD, *rows, strict=True)]
    lines = [HEAD, tuple("-" * width for width in widths), *rows]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < LEFT else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def main() -> None:
    """Print the table, and where everything lies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    demo: Path = parser.parse_args().folder
    folders = sorted(
        (path.parent for path in demo.glob("*-*/metrics.json")),
        key=lambda folder: (folder.name.partition("-")[2], folder.name.partition("-")[0] == "deep"),
    )
    print(table([row(folder) for folder in folders]))
    print(
        "\nScores are of held-out rows. 'budget' is the memory a task may use for its shard; a"
        "\nworker's peak also holds its interpreter and libraries (about 250 MB with scikit-learn,"
        "\n300 MB with TensorFlow), which do not grow with the data."
    )
    print("\nModels, plots and metrics:")
    for folder in folders:
        print(f"  {folder}/  model/  plots/  metrics.json")


if __name__ == "__main__":
    main()
