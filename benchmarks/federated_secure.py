"""Secure aggregation of a million parameters over ten silos, two of which drop out, and plain sums.

Silos are in this process, asked one after the other; every message is packed, checked, entered in
both ledgers and unpacked as on a wire. Plain: the coordinator reads the same eight answers.

    python benchmarks/federated_secure.py [--parameters 1000000] [--silos 10] [--gone 2]
"""

from __future__ import annotations

import argparse
import sys
from typing import Any, ClassVar

import numpy as np
from common import median, report, seconds

from sparkml_dist.federated import Answer, Declaration, Federation, SiloWork, works
from sparkml_dist.federated.privacy import SecureSum

# Bytes of keys, shares and facts are those of messages of other kinds than the summed words.
_WORDS = ("update", "secure_masked")


class UpdateWork(SiloWork):
    """Answers with integers or floats that are the silo's own, as a training would, in no time."""

    kind: ClassVar[str] = "update"
    summable: ClassVar[bool] = True
    #: By type and silo.
    values: ClassVar[dict[tuple[str, str], np.ndarray]] = {}

    def declare(self, request: Any, schema: Any) -> Declaration:
        return Declaration({"delta": (request.facts["type"], (request.facts["size"],))})

    def answer(self, silo: Any, request: Any) -> Answer:
        return Answer(arrays={"delta": self.values[request.facts["type"], silo.name]})


def _with_update_work() -> None:
    """Add the work to those of the library: silos do nothing else than what is on that list."""
    sys.modules["sparkml_dist.federated.benchmark_update"] = sys.modules[__name__]
    works.WORKS = {**works.WORKS, "update": ("benchmark_update", "UpdateWork")}  # type: ignore[assignment,misc]


def _federation(names: list[str], gone: set[str]) -> Federation:
    def leave(answer: Answer, request: Any) -> Answer:
        if request.kind in _WORDS:  # after its keys and shares are with the others
            raise OSError("gone")
        return answer

    rows = {name: (np.ones((2, 1)), [0, 1]) for name in names}
    made = Federation.in_memory(rows, alter=dict.fromkeys(gone, leave))
    _ = made.schema
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=int, default=1_000_000)
    parser.add_argument("--silos", type=int, default=10)
    parser.add_argument("--gone", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    asked = parser.parse_args()
    _with_update_work()
    names = [f"silo{i}" for i in range(asked.silos)]
    gone = set(names[-asked.gone :] if asked.gone else [])
    there = [name for name in names if name not in gone]
    rng = np.random.default_rng(0)
    for name in names:
        whole = rng.integers(-(10**6), 10**6, asked.parameters, np.int32)
        UpdateWork.values["i4", name] = whole
        UpdateWork.values["f4", name] = (whole / 1e6).astype(np.float32)
    rows: list[dict[str, Any]] = []
    verdicts, found = [], []
    for kind, said, most in (("i4", "integers", 1e6), ("f4", "floats, in fixed point", 1.0)):
        facts = {"type": kind, "size": asked.parameters}
        exact = np.sum([UpdateWork.values[kind, n].astype(np.float64) for n in there], axis=0)
        times: dict[str, list[float]] = {"plain": [], "secure": []}
        lines: dict[str, dict[str, Any]] = {}
        for repeat in range(asked.repeats + 1):
            for name, protocol in (("plain", None), ("secure", SecureSum(range=1.0, bits=32))):
                federation = _federation(names, gone)
                results: list[Any] = []

                def add_up(
                    federation: Federation = federation,
                    protocol: SecureSum | None = protocol,
                    results: list[Any] = results,
                    facts: dict[str, Any] = facts,
                    most: float = most,
                ) -> None:
                    results.append(
                        federation.sum("update", facts, secure=protocol, ranges={"delta": most})
                    )

                spent = seconds(add_up)
                if repeat:  # the first warms caches
                    times[name].append(spent)
                audit = federation.audit()
                audit = audit[~audit.kind.isin(["schema", "agree"])]
                assert results[0].silos == there
                away = float(np.abs(results[0].arrays["delta"] - exact).max())
                lines[name] = {"error": away, "bytes": _bytes(audit, there)}
        plain, secure = lines["plain"]["bytes"], lines["secure"]["bytes"]
        ratio = median([b / a for a, b in zip(times["plain"], times["secure"], strict=True)])
        for name, line in lines.items():
            rows.append(
                {
                    "values": said,
                    "sum": name,
                    "seconds": f"{median(times[name]):.3f}",
                    "× plain": f"{ratio:.2f}" if name == "secure" else "1",
                    "MB of words, all silos": f"{line['bytes'][0] / 1e6:.3f}",
                    "kB of keys and shares": f"{line['bytes'][1] / 1e3:.1f}",
                    "bytes × plain": f"{sum(line['bytes']) / sum(plain):.4f}",
                    "largest error": f"{line['error']:.2g}",
                }
            )
        verdicts.append(ratio <= 3 and secure[0] <= 1.1 * plain[0])
        verdicts.append(lines["secure"]["error"] == 0 or kind == "f4")
        found.append(f"{said} {ratio:.2f} × the time, {sum(secure) / sum(plain):.3f} × the bytes")
    report(
        "federated_secure",
        f"Sums of {asked.parameters:,} parameters over {asked.silos} silos, {asked.gone} of which "
        "drop out after they have shared their secrets. All silos and the coordinator work one "
        "after the other in one process, with the real messages. Median of "
        f"{asked.repeats} sums of each kind in turn; the ratio is the median of ratios.",
        rows,
        target="integers exact; time ≤ 3 × and bytes ≤ 1.1 × plain plus keys",
        measured="; ".join(found),
        met=all(verdicts),
        note="Words are of 32 bits, as the plain numbers are. Each silo makes a mask for each "
        "other one and one of its own, a stream of AES-256 in counter mode each; the coordinator "
        "makes again what is left of them in the sum. Time of the plain sum is mostly that of "
        "checksums (SHA-256) of the messages and of the ledger. Other work ran on the machine "
        "meanwhile; plain and secure sums ran in turn.",
    )


def _bytes(audit: Any, silos: list[str]) -> tuple[int, int]:
    """Return bytes of words, and of all other messages, to and from the silos that stay."""
    own = audit[audit.silo.isin(silos)]
    words = own.kind.isin(_WORDS) & (own.direction == "answer")
    return int(own[words].bytes.sum()), int(own[~words].bytes.sum())


if __name__ == "__main__":
    main()
