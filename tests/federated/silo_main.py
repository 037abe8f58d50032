"""A silo as a process of its own: ``silo_main.py ADDRESS CERTIFICATES DATA FOLDER [SEED]``."""

from __future__ import annotations

import sys

from sparkml_dist.errors import SparkMLDistError
from sparkml_dist.federated.remote import run_silo
from sparkml_dist.federated.table_data import open_silo_data


def main(address: str, certificates: str, data: str, folder: str, give_up: str = "60") -> int:
    try:
        table = open_silo_data(data, label="y", categorical=["c"])
        run_silo(address, certificates, table, folder=folder, give_up_seconds=float(give_up))
    except SparkMLDistError as error:
        print(error.code, flush=True)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
