"""The report of a job: a page made of metrics and plots, in which nothing from the data runs."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import pytest

from sparkml_dist.cli.document import MetricsDocument
from sparkml_dist.cli.job_report import write_job_report
from sparkml_dist.errors import DataError
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.model_report import Candidate, FeatureFacts, ModelReport

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
HOSTILE = "</style></pre><script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}"


class Tags(HTMLParser):
    """Collects tags, attributes and texts."""

    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.texts = set(), [], []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.texts.append(data)


def parsed(page):
    found = Tags()
    found.feed(page)
    return found


def document(**more):
    found = MetricsDocument("train_ensemble", arguments=["--train", "a b.csv", "--members", "3"])
    found.rows, found.features, found.classes, found.status = 1200, 4, 3, "ok"
    found.seconds = {"start": 1.0, "read": 2.0, "fit": 5.0, "member_fit": 7.5}
    found.metrics = {"accuracy": 0.9, "log_loss": 0.25, "roc_auc": None}
    found.parts, found.peak_worker_rss_mb = {"members": 3}, 210.4
    found.more = {
        "test_rows": 300,
        "intervals": {"accuracy": [0.861, 0.929]},
        "output": {"model": "/out/model"},
        "itemsets_by_size": {"1": 5, "2": 3},
        **more,
    }
    return found.to_dict()


def written(tmp_path, metrics, **more):
    folder = Folder.at(tmp_path / "out")
    write_job_report(folder, metrics, **more)
    return (tmp_path / "out" / "report.html").read_text()


def test_what_the_page_says(tmp_path):
    folder = Folder.at(tmp_path / "out" / "plots")
    folder.create()
    for name in ("seconds_by_member.png", "confusion_matrix.png"):
        folder.write_bytes(name, PNG)
    page = written(tmp_path, document())
    text = re.sub(r"\s+", " ", "".join(parsed(page).texts))
    for part in (
        "train_ensemble: ok",
        "0.9000accuracy0.8610 to 0.9290",
        "300 held-out rows",
        "jobs/train_ensemble.py \\ --train 'a b.csv' \\ --members 3",
        "rows1,200",
        "members3",
        "member fit7.5 ssummed over members",
        "210.4 MiB",
        "jobs/score.py --model /out/model",
        "load_model('/out/model')",
        "scikit-learn",
    ):
        assert part in text, part
    assert page.index("Confusion matrix") < page.index("Seconds by member")
    sources = [v for k, v in parsed(page).attributes if k == "src"]
    assert len(sources) == 2 and all(s.startswith("data:image/png;base64,") for s in sources)


def test_nothing_of_the_data_becomes_markup(tmp_path):
    metrics = document(**{HOSTILE: HOSTILE, "nested": {HOSTILE: {HOSTILE: [HOSTILE]}}})
    metrics["metrics"][HOSTILE] = 0.5
    metrics["intervals"] = {HOSTILE: [0.4, 0.6]}
    metrics["arguments"] = ["--label", HOSTILE]
    metrics["warnings"] = [HOSTILE]
    metrics["output"] = {HOSTILE: HOSTILE, "model": HOSTILE}
    metrics["seconds"][HOSTILE] = 1.0
    metrics["versions"] = {HOSTILE: HOSTILE}
    metrics["error"] = DataError("a_code", HOSTILE, HOSTILE).to_dict() | {
        "exit_status": 11,
        "traceback": [HOSTILE],
    }
    model = ModelReport(
        HOSTILE,
        summary=HOSTILE,
        facts={HOSTILE: HOSTILE},
        leaderboard=[Candidate(HOSTILE, 0.5, {HOSTILE: 0.4}, 1.0, {HOSTILE: HOSTILE}, HOSTILE)],
        left=[(HOSTILE, HOSTILE)],
        features=[FeatureFacts(HOSTILE, HOSTILE, HOSTILE, 0.1, 0.2, [HOSTILE])],
        classes={HOSTILE: 3.0},
        alerts=[(HOSTILE, HOSTILE)],
        limitations=[HOSTILE],
    )
    page = written(tmp_path, metrics, model=model)
    found = parsed(page)
    assert not found.tags & {"script", "img", "iframe", "object", "link", "a", "form"}
    assert not [name for name, _ in found.attributes if name.startswith("on") or name == "href"]
    assert page.count("</style>") == 1 and "{{ 7*7 }}" in "".join(found.texts)
    assert "49" not in re.sub(r"\d\d:\d\d:\d\d|\d{4}-", "", "".join(found.texts))


def test_a_failed_job(tmp_path):
    failed = MetricsDocument("train_ensemble", arguments=["--train", "x.csv"])
    failed.fail(DataError("one_class", "All rows have the same label.", "Give more data."))
    page = written(tmp_path, failed.to_dict())
    for part in ("train_ensemble: failed", "All rows have", "Give more data.", "exit status 11"):
        assert part in page
    assert "How to score" not in page


def test_many_pictures_and_a_broken_one(tmp_path, caplog):
    folder = Folder.at(tmp_path / "out" / "plots")
    folder.create()
    for number in range(30):
        folder.write_bytes(f"metrics_by_epoch_{number:03d}.png", PNG)
    page = written(tmp_path, document())
    assert page.count("<figure>") == 24 and "and 6 more in" in page
    folder.write_bytes("a.png", b"no picture")
    folder.write_bytes("metrics_by_epoch_000.png", b"no picture")
    (tmp_path / "out" / "report.html").unlink()
    write_job_report(Folder.at(tmp_path / "out"), document())
    assert "the report was not written" in caplog.text
    assert not (tmp_path / "out" / "report.html").exists()


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("s3://me:secret@bucket/t.csv", "s3://bucket/t.csv"),
        ("s3://key@bucket", "s3://bucket"),
        ("a@b", "a@b"),
        ("//host/a@b", "//host/a@b"),
    ],
)
def test_passwords_in_locations_are_left_out(given, shown):
    assert MetricsDocument("x", arguments=["--train", given]).to_dict()["arguments"][1] == shown
