"""Write data/machines.csv: a small generated table with everything a real one has.

python scripts/make_sample_data.py data/machines.csv

Numbers, one categorical column, missing values, an identity, a row weight and a string label that
depends on them with some noise. The file in the repository is what this writes (a test compares).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

ROWS = 1500
SITES = ("Delft", "Graz", "Porto", "Turku")


def lines(rows: int = ROWS, seed: int = 7) -> list[str]:
    """Return the lines of the CSV file, the header first."""
    rng = np.random.default_rng(seed)
    site = rng.integers(len(SITES), size=rows)
    hours = rng.integers(20, 9000, size=rows)
    temperature = 55 + 6 * rng.standard_normal(rows) + 4 * site
    vibration = 0.4 + 0.00025 * hours + 0.25 * rng.standard_normal(rows)
    pressure = 6 + 0.8 * rng.standard_normal(rows)
    load = rng.random(rows)
    wear = hours / 3000 + 1.1 * (vibration - 1.5) + load + 0.1 * (temperature - 61 - 4 * site)
    wear += np.where(site == 2, 0.8, 0.0) + 0.25 * rng.standard_normal(rows)
    state = np.where(wear < 2, "good", np.where(wear < 4, "worn", "broken"))
    weight = np.where(rng.random(rows) < 0.1, 2, 1)
    absent = rng.random((rows, 2)) < 0.04

    written = ["machine,site,hours,temperature,vibration,pressure,load,weight,state"]
    for i in range(rows):
        fields = (
            f"M{i:04d}",
            SITES[site[i]],
            str(hours[i]),
            "" if absent[i, 0] else f"{temperature[i]:.1f}",
            f"{max(vibration[i], 0.0):.3f}",
            "" if absent[i, 1] else f"{pressure[i]:.2f}",
            f"{load[i]:.2f}",
            str(weight[i]),
            state[i],
        )
        written.append(",".join(fields))
    return written


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.parse_args().file.write_text("\n".join(lines()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
