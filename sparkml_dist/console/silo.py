"""``sparkml-dist silo``: takes part in a federation as one silo."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sparkml_dist.console.printing import CommandParser, note

__all__ = ["run"]


def _options() -> CommandParser:
    parser = CommandParser(
        "silo",
        "Take part in a federation as one silo: ask the coordinator for work, do it on data that\n"
        "stay here, and bring sums or parameters. No port is opened. Ends when the coordinator\n"
        "ends the run; started again with the same --folder it goes on.",
        "example:\n"
        "  sparkml-dist silo --coordinator fed.example.org:8443 --certificates silo-north \\\n"
        "    --data patients.parquet --label outcome --categorical sex --folder state\n\n"
        "A policy is a JSON file with any of the fields of sparkml_dist.federated.SiloPolicy:\n"
        '  {"secure_only": true, "least_silos": 5, "tell_rows": false}\n',
    )
    parser.add_argument("--coordinator", required=True, metavar="HOST:PORT")
    parser.add_argument(
        "--certificates",
        required=True,
        metavar="FOLDER",
        help="this silo's folder of silo-certificates; it has the silo's name",
    )
    parser.add_argument(
        "--data",
        required=True,
        metavar="PATH",
        help="Parquet or CSV file, a folder of them, or a folder of shards",
    )
    parser.add_argument("--label", default="label", metavar="COL")
    parser.add_argument("--features", nargs="+", metavar="COL", help="default: all other columns")
    parser.add_argument("--categorical", nargs="+", default=[], metavar="COL")
    parser.add_argument("--weight", metavar="COL")
    parser.add_argument("--regression", action="store_true", help="the label is a number")
    parser.add_argument(
        "--folder", required=True, help="this silo's own files: ledger, states, secret"
    )
    parser.add_argument("--policy", metavar="FILE", help="what the silo lets out, as JSON")
    parser.add_argument("--seed", type=int, metavar="N", help="for experiments; default: a secret")
    parser.add_argument(
        "--give-up-seconds",
        type=float,
        metavar="S",
        help="end after so long without the coordinator (default: never)",
    )
    return parser


def run(argv: Sequence[str]) -> int:
    """Run the command.

    Raises
    ------
    SparkMLDistError
        Those of `run_silo`, `TableData` and `SiloPolicy.from_dict`.
    """
    try:
        args = _options().parse_args(argv)
    except SystemExit as ended:  # --help
        return int(ended.code or 0)
    from sparkml_dist.federated.policy import SiloPolicy
    from sparkml_dist.federated.remote import run_silo
    from sparkml_dist.federated.table_data import open_silo_data
    from sparkml_dist.persistence.filesystem import Folder

    logging.basicConfig(format="%(asctime)s %(message)s")
    policy = SiloPolicy()
    if args.policy:
        head, _, name = Folder.at(args.policy).location.rpartition("/")
        policy = SiloPolicy.from_dict(Folder.at(head or "/").read_json(name))
    data = open_silo_data(
        args.data,
        label=args.label,
        features=args.features,
        weight=args.weight,
        categorical=args.categorical,
        regression=args.regression,
    )
    answered = run_silo(
        args.coordinator,
        args.certificates,
        data,
        folder=args.folder,
        policy=policy,
        seed=args.seed,
        give_up_seconds=args.give_up_seconds,
    )
    note(f"the run is over; {answered} requests were answered")
    return 0
