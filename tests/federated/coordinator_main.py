"""A coordinator as a process: ``coordinator_main.py CERTIFICATES ADDRESS FOLDER ROUNDS``."""

from __future__ import annotations

import sys
import time

from sparkml_dist.federated import Federation
from sparkml_dist.federated.remote import Coordinator
from tests.federated.processes import NAMES


def main(certificates: str, address: str, folder: str, rounds: str) -> None:
    coordinator = Coordinator(NAMES, certificates, address=address, round_seconds=60)
    with Federation(coordinator, folder=folder) as federation:
        for number in range(int(rounds)):
            total = federation.sum("rows", {"number": number}, minimum=3).arrays["rows"][0]
            print(number, int(total), flush=True)
            time.sleep(0.1)


if __name__ == "__main__":
    main(*sys.argv[1:])
