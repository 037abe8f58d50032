"""Three silos as three processes that meet at a coordinator over TLS, on this machine.

    python examples/federated/three_silos.py [FOLDER]

On three machines, the same commands run in each place: see docs/federated.md. Each silo reads its
own CSV file; the coordinator sees sums, and the ledger shows every byte that left.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from sparkml_dist import Federation
from sparkml_dist.federated.ledger_page import ledger_page
from sparkml_dist.federated.remote import Coordinator, make_certificates

NAMES = ["amsterdam", "berlin", "cadiz"]


def write_tables(folder: Path) -> None:
    """Write a table for each silo: other patients, and columns in another order."""
    random = np.random.default_rng(0)
    for number, name in enumerate(NAMES):
        age = random.integers(20 + 10 * number, 80, 200)
        pressure = 90 + 0.6 * age + random.normal(0, 12, 200)
        ill = random.random(200) < 1 / (1 + np.exp(-(pressure - 130) / 10))
        columns = {"age": age, "pressure": pressure.round(1), "ill": np.where(ill, "yes", "no")}
        order = list(columns)[number:] + list(columns)[:number]
        lines = [",".join(order)]
        lines += [",".join(map(str, row)) for row in zip(*(columns[c] for c in order), strict=True)]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")


def start_silo(name: str, port: int, folder: Path) -> subprocess.Popen[bytes]:
    """Start what a silo's owner starts."""
    command = [sys.executable, "-m", "sparkml_dist.console", "silo"]
    command += ["--coordinator", f"localhost:{port}", "--label", "ill"]
    command += ["--certificates", f"{folder}/certificates/silo-{name}"]
    command += ["--data", f"{folder}/{name}.csv", "--folder", f"{folder}/silo-{name}"]
    return subprocess.Popen([*command, "--give-up-seconds", "60"])


def main(folder: Path) -> None:
    """Run the coordinator and its three silos."""
    write_tables(folder)
    make_certificates(folder / "certificates", NAMES, hosts=["localhost"])
    coordinator = Coordinator(
        NAMES, folder / "certificates" / "coordinator", address="localhost:0", round_seconds=120
    )
    with Federation(coordinator, folder=str(folder / "federation")) as federation:
        running = [start_silo(name, coordinator.port, folder) for name in NAMES]
        print("columns:", federation.schema.feature_names, "classes:", federation.schema.classes)
        counted = federation.sum("rows")
        print("rows:", int(counted.arrays["rows"][0]), "by class:", counted.arrays["class_rows"])
        audit = federation.audit()
        print(audit[["round", "kind", "silo", "direction", "bytes", "arrays"]].to_string())
        ledger_page(audit, str(folder / "ledger.html"))
    print("exit statuses of the silos:", [process.wait(30) for process in running])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as made:
            main(Path(made))
