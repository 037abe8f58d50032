"""Growth of the driver's part with shards, members and columns; each size in a process of its own.

    python benchmarks/scaling.py                    # all three, up to 100,000 shards
    python benchmarks/scaling.py --part columns     # one of them

What is real: the planning, the outcomes as tasks return them and Spark's way to the driver, the
writer and reader of manifests, the folders with a file for every shard and member (one small
Parquet file or tree, hard links), the resumed fit with its Spark job, `load_model`, and for the
columns the whole job. What is not: the data, and the tasks that would have written the shards.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pickle
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from common import ROOT, report, scratch, session

FEATURES = 28
LINKS = 10_000  # a file system has a limit of links to one file
MISSING = 10
TASKS = 16  # in place of one for each shard
MOST = {"shards": 60.0, "members": 20.0, "columns": 60.0}  # seconds at the largest size
MEMORY = 1024  # MiB of the driver's Python


def megabytes() -> float:
    """Return the peak resident MiB of this process: the driver's Python."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def java_megabytes() -> float:
    """Return the peak resident MiB of the Java process that this one started."""
    import psutil

    peak = 0.0
    for process in psutil.Process().children(recursive=True):
        if process.name() == "java":
            status = Path(f"/proc/{process.pid}/status").read_text()
            line = next(x for x in status.splitlines() if x.startswith("VmHWM"))
            peak = max(peak, int(line.split()[1]) / 1024)
    return peak


def cpu_of_tree(process: subprocess.Popen[bytes]) -> float:
    """Wait for a process; return the CPU seconds that it and its descendants took."""
    import psutil

    spent: dict[int, float] = {}
    while process.poll() is None:
        with contextlib.suppress(psutil.Error):
            top = psutil.Process(process.pid)
            for one in [top, *top.children(recursive=True)]:
                times = one.cpu_times()
                spent[one.pid] = times.user + times.system
        time.sleep(0.2)
    return sum(spent.values())


class Stages:
    """Wall seconds of named steps, and the CPU seconds that this process took for them."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._cpu = time.process_time()

    def __call__(self, name: str, action: Callable[[], Any]) -> Any:
        begun = time.perf_counter()
        found = action()
        self.seconds[name] = time.perf_counter() - begun
        return found

    @property
    def cpu(self) -> float:
        """CPU seconds of this process since the start of the steps."""
        return time.process_time() - self._cpu


def links(source: Path, targets: list[Path]) -> None:
    """Give a file many names."""
    for at, target in enumerate(targets):
        if at % LINKS == 0:
            target.write_bytes(source.read_bytes())
            source = target
        else:
            os.link(source, target)


def tiny(folder: Path, features: int = FEATURES) -> Any:
    """Write one real shard of 64 rows; return its data set."""
    import numpy as np

    sys.path.insert(0, str(ROOT))
    from tests.written import written

    rng = np.random.default_rng(0)
    X = rng.normal(size=(64, features))
    return written(folder, X, (X[:, 0] > 0).astype(int), classes=(0, 1), shards=1)


def many(folder: Path, shards: int) -> tuple[Any, list[str]]:
    """Return a small data set, and the outcomes of tasks that wrote it `shards` times."""
    data = tiny(folder / "tiny")
    (home := folder / "data" / "shards-00000000").mkdir(parents=True)
    names = [f"shard-{i:05d}.parquet" for i in range(shards)]
    source = Path(data.location) / data.shards[0].file
    links(source, [home / name for name in names])
    one = data.shards[0].to_dict()
    more = {"missing_features": "", "duplicates": 0, "longest_run": 0}
    texts = [
        json.dumps({"shard": {**one, "index": i, "file": name}, **more})
        for i, name in enumerate(names)
    ]
    return data, texts


def of_shards(shards: int) -> dict[str, Any]:
    """Plan, collect, commit and open a data set of so many shards."""
    from sparkml_dist.dataset import open_partitioned, partitioning
    from sparkml_dist.dataset.columns import ColumnPlan
    from sparkml_dist.dataset.sizing import plan_sizing
    from sparkml_dist.dataset.survey import Survey
    from sparkml_dist.members.member import MemberFit
    from sparkml_dist.persistence.filesystem import Folder
    from sparkml_dist.persistence.saved_folder import check_replaceable

    with scratch() as folder:
        data, texts = many(folder, shards)
        home = Folder.at(folder / "data")
        spark = session("scaling", memory="1g")
        spark.range(1).mapInArrow(lambda batches: batches, "id long").collect()
        before, stage = megabytes(), Stages()

        def plan() -> Any:
            check_replaceable(home, "dataset", overwrite=True)
            return plan_sizing(shards * 1000, 4.0 * FEATURES, shards=shards, memory_per_task=None)

        sizing = stage("plan", plan)
        for task in range(TASKS):
            (folder / f"outcomes-{task}").write_text("\n".join(texts[task::TASKS]))
        del texts

        def outcomes(batches: Any) -> Any:
            import pyarrow as pa

            for batch in batches:
                for task in batch.column(0).to_pylist():
                    found = (folder / f"outcomes-{task}").read_text().splitlines()
                    yield pa.RecordBatch.from_pydict({"outcome": found})

        frame = spark.range(0, TASKS, 1, TASKS).mapInArrow(outcomes, "outcome string")
        rows = stage("collect", frame.collect)
        known = Survey(
            ColumnPlan((), "label", "integer", None, ()),
            data.schema,
            data.manifest.label,
            64 * shards,
            4.0 * FEATURES,
        )

        def commit() -> None:
            written = partitioning._outcomes([r["outcome"] for r in rows], sizing.shards)
            assert not partitioning._bunched(written)
            place = home.child("shards-00000000")
            manifest = partitioning._manifest(known, 0, place, written)
            assert manifest.rows == known.rows
            manifest.write(home)
            partitioning._delete_others(home, place)

        stage("commit", commit)
        opened = stage("open", lambda: open_partitioned(home.location))
        cpu = stage.cpu
        assert len(opened.read_block(shards - 1).y) == 64
        fit = MemberFit(opened, home, (), (), 0, (), 1)
        closure = stage("pickle", lambda: pickle.dumps(fit))
        stage("unpickle in a task", lambda: pickle.loads(closure).data.shards[0])  # noqa: S301
        return {
            **stage.seconds,
            "CPU": cpu,
            "manifest MB": home.size("manifest.json") / 1e6,
            "closure MB": len(closure) / 1e6,
            "MiB before": before,
            "MiB": megabytes(),
            "java MiB": java_megabytes(),
        }


def of_members(members: int) -> dict[str, Any]:
    """Resume a fit of so many members, ten of which are missing; load the model."""
    from sklearn.tree import DecisionTreeClassifier

    import sparkml_dist as sd
    from sparkml_dist.dataset.manifest import Manifest
    from sparkml_dist.dataset.partitioned import PartitionedDataset
    from sparkml_dist.persistence.filesystem import Folder

    with scratch() as folder:
        data, texts = many(folder, members)
        home = Folder.at(folder / "data")
        infos = [type(data.shards[0]).from_dict(json.loads(t)["shard"]) for t in texts]
        infos = [replace(s, file=f"shards-00000000/{s.file}") for s in infos]
        manifest: Manifest = replace(data.manifest, shards=tuple(infos))
        data = PartitionedDataset(home, manifest)
        spark = session("scaling", memory="1g")
        model_dir = folder / "model"

        def bagging(**params: Any) -> Any:
            # Members beyond the first are copies of its files with their own records.
            return sd.BaggingClassifier(
                estimator=DecisionTreeClassifier(max_depth=3),
                numMembers=members,
                modelDir=str(model_dir),
                **params,
            )

        first = replace(data.manifest, shards=tuple(infos[:1]))
        bagging().copy().setParams(numMembers=1).fit(PartitionedDataset(home, first))
        kept = model_dir / "members"
        one = json.loads((kept / "member-00000.json").read_text())
        (model_dir / "manifest.json").unlink()
        numbers = range(1, members - MISSING)
        links(kept / "member-00000.skops", [kept / f"member-{i:05d}.skops" for i in numbers])
        for i in numbers:
            entry = {**one, "member": i, "shards": [i], "file": f"members/member-{i:05d}.skops"}
            (kept / f"member-{i:05d}.json").write_text(json.dumps(entry, indent=1))
        again = bagging(resume=True)
        from sparkml_dist.persistence.saved_folder import _write_plan

        _write_plan(Folder.at(model_dir), json.loads(json.dumps(again._plan(data))))
        spark.range(1).mapInArrow(lambda batches: batches, "id long").collect()
        before = megabytes()
        stage = Stages()
        begun = time.time()
        model = again.fit(data)
        ended = time.time()
        cpu = stage.cpu
        new = [kept / f"member-{i:05d}.json" for i in range(members - MISSING, members)]
        found = [(p.stat().st_mtime, json.loads(p.read_text())) for p in new]
        first_task = min(when - r["task_seconds"] for when, r in found) - begun
        loaded = stage("load", lambda: sd.load_model(str(model_dir)))
        assert loaded.numMembers == model.numMembers == members
        assert model.summary["fitted_now"] == MISSING
        return {
            "to the first task": first_task,
            "fit": ended - begun,
            **stage.seconds,
            "CPU": cpu,
            "manifest MB": (model_dir / "manifest.json").stat().st_size / 1e6,
            "MiB before": before,
            "MiB": megabytes(),
            "java MiB": java_megabytes(),
        }


def of_columns(columns: int) -> dict[str, Any]:
    """Run `train_ensemble` on 1,000 rows of so many columns."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    with scratch() as folder:
        X = np.random.default_rng(0).normal(size=(1000, columns)).astype(np.float32)
        table = {f"x{i}": X[:, i] for i in range(columns)}
        table["label"] = (X[:, :5].sum(axis=1) > 0).astype(np.int32)
        pq.write_table(pa.table(table), folder / "wide.parquet")
        command = [sys.executable, str(ROOT / "jobs/train_ensemble.py")]
        command += ["--train", str(folder / "wide.parquet"), "--output", str(folder / "out")]
        command += ["--members", "4", "--shards", "2"]
        begun = time.perf_counter()
        with (folder / "log").open("w") as log:
            job = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
            processor = cpu_of_tree(job)
        wall = time.perf_counter() - begun
        text = (folder / "log").read_text()
        document = json.loads(next(x for x in text.splitlines()[::-1] if x.startswith("{")))
        assert document["status"] == "ok", text[-3000:]
        stages = ("start", "read", "partition", "fit", "evaluate", "plot")
        seconds = {name: document["seconds"][name] for name in stages}
        return {
            **seconds,
            "CPU of all processes": processor,
            "wall": wall,
            "MiB": document["memory"]["peak_worker_rss_mb"],
        }


PARTS: dict[str, Callable[[int], dict[str, Any]]] = {
    "shards": of_shards,
    "members": of_members,
    "columns": of_columns,
}
SIZES = {
    "shards": [1_000, 10_000, 100_000],
    "members": [100, 1_000, 10_000],
    "columns": [1_000, 3_000, 10_000],
}

MEASURED = {
    "shards": ("plan", "collect", "commit", "open"),
    "members": ("to the first task",),
    "columns": ("wall",),
}
OTHER = ("CPU", "MiB before", "MiB", "java MiB", "manifest MB", "closure MB")


def kept(part: str, size: int) -> Path:
    """Return the file with what was measured of a size, for ``--resume``."""
    return ROOT / "build" / "bench" / f"scaling-{part}-{size}.json"


def measured(part: str, size: int, *, resume: bool) -> dict[str, Any]:
    """Return what a process of its own found."""
    if resume and kept(part, size).exists():
        earlier: dict[str, Any] = json.loads(kept(part, size).read_text())
        return earlier
    command = [sys.executable, __file__, "--one", part, str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{part} {size}: {done.stdout[-1500:]}{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def row(part: str, size: int, found: dict[str, Any], before: dict[str, Any] | None) -> Any:
    """Return a line of the table."""
    total = sum(found[name] for name in MEASURED[part])
    steps = ", ".join(f"{k} {v:.2f}" for k, v in found.items() if k not in OTHER)
    files = ", ".join(f"{k.removesuffix(' MB')} {found[k]:.1f}" for k in OTHER[4:] if k in found)
    earlier = before and sum(before[name] for name in MEASURED[part])
    return {
        "what": part,
        "number": f"{size:,}",
        "seconds": f"{total:.2f}",
        "of them CPU of the driver's Python": f"{found['CPU']:.2f}" if "CPU" in found else "",
        "times those of the line above": f"{total / earlier:.1f}" if earlier else "",
        "steps (seconds)": steps,
        "MiB of the driver's Python (at the start)": f"{found['MiB']:.0f} "
        f"({found['MiB before']:.0f})"
        if "MiB before" in found
        else "",
        "MiB of its Java": f"{found['java MiB']:.0f}" if "java MiB" in found else "",
        "MB of files": files,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=tuple(PARTS), action="append")
    parser.add_argument("--divide", type=int, default=1, help="smaller sizes, to try it")
    parser.add_argument("--resume", action="store_true", help="measure only what was not yet")
    parser.add_argument("--one", nargs=2, metavar=("PART", "SIZE"))
    args = parser.parse_args()
    if args.one:
        part, size = args.one[0], int(args.one[1])
        text = json.dumps(PARTS[part](size))
        kept(part, size).parent.mkdir(parents=True, exist_ok=True)
        kept(part, size).write_text(text)
        print(text)
        return
    rows, results, missed = [], [], []
    for part in args.part or PARTS:
        before = None
        for size in (max(20, n // args.divide) for n in SIZES[part]):
            found = measured(part, size, resume=args.resume)
            rows.append(row(part, size, found, before))
            print(rows[-1], flush=True)
            before = found
        total = sum(before[name] for name in MEASURED[part])
        memory = f" and {before['MiB']:.0f} MiB" if part != "columns" else ""
        results.append(f"{part} {total:.1f} s{memory}")
        if total > MOST[part] or (memory and before["MiB"] > MEMORY):
            missed.append(part)
    report(
        "scaling",
        "The driver's part as shards, members and columns grow; each line is a process of its own. "
        "Real: planning, Spark's way of the tasks' outcomes to the driver, manifests, a file for "
        "every shard and member (one tiny shard or tree under many names), the resumed fit with "
        "its Spark job, `load_model`; for the columns the whole job, with 1,000 rows and 4 "
        "members. Not real: the rows, and the tasks that write shards.",
        rows,
        target="100,000 shards planned, collected, committed and opened in 60 s, 10,000 members "
        "with 10 missing resumed in 20 s before the first task, both within 1 GiB of Python; "
        "10,000 columns in 60 s",
        measured="; ".join(results) + (f"; missed: {', '.join(missed)}" if missed else ""),
        met=not missed,
        note="Java had a heap of 1 GiB (the job: Spark's default, the same).",
    )


if __name__ == "__main__":
    main()
