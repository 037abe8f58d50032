"""The campaign against what is saved: every sample, altered in every way, loaded and asked.

python -m tests.attack.campaign [--only NAME …] [--seed N] [--table FILE]

Ends with status 1 when something of a folder ran, a wrong result was taken for right, a process
ended, or an error was none of ours. ``make test-attack`` runs it; alterations.md is its table.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from tests.attack.alterations import Alteration, alterations
from tests.attack.probe import MARK, ROOT

SAMPLES = ROOT / "tests" / "samples" / "protocol-1"
_PATIENCE = 180.0
#: What counts against the library.
FAULTS = ("ran", "wrong", "ended", "fault")


class Probe:
    """The process that loads and asks; begun anew when it has ended."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self._canary = work / "canary"
        self._process: subprocess.Popen[str] | None = None

    def ask(self, folder: Path, name: str) -> dict[str, Any]:
        """Return what the probe says of a folder; ``ran`` or ``ended`` where it came to that."""
        process = self._process or self._begin(folder)
        assert process.stdin is not None
        process.stdin.write(json.dumps({"location": str(folder), "name": name}) + "\n")
        process.stdin.flush()
        found = self._answer(process)
        if self._canary.exists():
            ran = self._canary.read_text()
            self._canary.unlink()
            self.end()
            return {"ran": ran}
        if found is None:
            status = process.poll()
            self.end()
            return {"ended": f"status {status}"}
        return found

    def _begin(self, folder: Path) -> subprocess.Popen[str]:
        # Modules that lie in the folder can be imported, by this process and by Spark's workers.
        path = os.pathsep.join([str(ROOT), str(folder)])
        log = (self._work / "probe.log").open("a")
        environment = os.environ | {
            "CANARY": str(self._canary),
            "PYTHONPATH": path,
            "PYSPARK_PYTHON": sys.executable,
            "PYSPARK_SUBMIT_ARGS": "--master local[2] --driver-memory 1g "
            "--conf spark.ui.enabled=false pyspark-shell",
            "SPARK_LOCAL_IP": "127.0.0.1",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.attack.probe"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            bufsize=1,
        )
        self._answer(self._process)
        return self._process

    def _answer(self, process: subprocess.Popen[str]) -> dict[str, Any] | None:
        assert process.stdout is not None
        while select.select([process.stdout], [], [], _PATIENCE)[0]:
            line = process.stdout.readline()
            if not line:
                return None
            if line.startswith(MARK):
                text = line.removeprefix(MARK).strip()
                return {} if text == "ready" else dict(json.loads(text))
        return None

    def end(self) -> None:
        """Let the process go."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = None


def drawn(found: list[Alteration], most: int, seed: int) -> list[Alteration]:
    """Return some of the alterations, as many kinds as there is room for."""
    draw = random.Random(f"{seed} {len(found)}")
    draw.shuffle(found)
    seen: Counter[str] = Counter()
    ranked = []
    for alteration in found:
        ranked.append((seen[alteration.kind], len(ranked), alteration))
        seen[alteration.kind] += 1
    return [alteration for *_, alteration in sorted(ranked)[:most]]


def verdict(found: dict[str, Any], pristine: dict[str, Any], alteration: Alteration) -> str:
    """Return how an alteration ended."""
    for word in ("ran", "ended", "fault"):
        if word in found:
            return word
    if "refused" in found:
        return "refused"
    if found == pristine:
        return "harmless"
    return "another result" if alteration.forged else "wrong"


def main() -> None:
    """Run the campaign and write its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most", type=int, default=20, help="alterations of a sample, at most")
    parser.add_argument("--table", type=Path)
    args = parser.parse_args()
    counts: Counter[tuple[str, str]] = Counter()
    faults: list[str] = []
    homes = sorted(p for p in SAMPLES.iterdir() if (p / "manifest.json").exists())
    homes = [p for p in homes if not args.only or p.name in args.only]
    with tempfile.TemporaryDirectory(prefix="attack-") as temporary:
        work = Path(temporary)
        folder = work / "x"
        probe = Probe(work)
        for home in homes:
            shutil.copytree(home, folder)
            pristine = probe.ask(folder, home.name)
            if "said" not in pristine:
                raise SystemExit(f"{home.name} cannot be loaded as it is: {pristine}")
            for alteration in drawn(list(alterations(home, args.seed)), args.most, args.seed):
                shutil.rmtree(folder)
                shutil.copytree(home, folder)
                alteration.apply(folder)
                found = probe.ask(folder, home.name)
                end = verdict(found, pristine, alteration)
                counts[alteration.kind, end] += 1
                if end in FAULTS:
                    text = next(iter(found.values()))
                    faults.append(
                        f"{home.name}: {alteration.kind} ({alteration.name}): {end}: {text}"
                    )
                    print(faults[-1], flush=True)
            shutil.rmtree(folder)
            print(f"{home.name}: {sum(counts.values())} so far, {len(faults)} faults", flush=True)
        probe.end()
    text = table(counts, len(homes))
    print(text)
    if args.table is not None:
        args.table.write_text(text)
    raise SystemExit(1 if faults else 0)


def table(counts: Counter[tuple[str, str]], samples: int) -> str:
    """Return the table of how alterations ended."""
    ends = ["refused", "harmless", "another result", *FAULTS]
    kinds = sorted({kind for kind, _ in counts})
    lines = [
        f"{sum(counts.values())} alterations of {samples} saved folders.",
        "",
        f"| alteration | {' | '.join(ends)} |",
        f"|---|{'---:|' * len(ends)}",
    ]
    lines += [f"| {k} | {' | '.join(str(counts[k, end]) for end in ends)} |" for k in kinds]
    totals = [sum(counts[kind, end] for kind in kinds) for end in ends]
    lines.append(f"| all | {' | '.join(map(str, totals))} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
