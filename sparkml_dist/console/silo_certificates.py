"""``sparkml-dist silo-certificates``: an authority and certificates for one federation."""

from __future__ import annotations

from collections.abc import Sequence

from sparkml_dist.console.printing import CommandParser, note

__all__ = ["run"]


def _options() -> CommandParser:
    parser = CommandParser(
        "silo-certificates",
        "Make a certificate authority, and a folder with key and certificate for the coordinator\n"
        "and for each silo. Hand each party its folder over a channel that you trust.",
        "examples:\n"
        "  sparkml-dist silo-certificates certificates --silos north west --hosts fed.example.org\n"
        "  sparkml-dist silo-certificates certificates --silos east   # one more silo, later\n",
    )
    parser.add_argument("folder", help="gets authority/, coordinator/ and silo-NAME/")
    parser.add_argument("--silos", nargs="+", required=True, metavar="NAME", help="their names")
    parser.add_argument(
        "--hosts",
        nargs="+",
        default=[],
        metavar="HOST",
        help="names or addresses under which silos reach the coordinator; without, no certificate "
        "is made for it",
    )
    parser.add_argument(
        "--days", type=int, default=365, metavar="N", help="how long they are valid (default: 365)"
    )
    parser.add_argument(
        "--tokens",
        action="store_true",
        help="give silos a secret token each in place of key and certificate",
    )
    return parser


def run(argv: Sequence[str]) -> int:
    """Run the command."""
    try:
        args = _options().parse_args(argv)
    except SystemExit as ended:  # --help
        return int(ended.code or 0)
    from sparkml_dist.federated.remote import make_certificates

    make_certificates(args.folder, args.silos, hosts=args.hosts, days=args.days, tokens=args.tokens)
    note(f"wrote {args.folder}: hand each party its folder, and keep authority/key.pem away")
    return 0
