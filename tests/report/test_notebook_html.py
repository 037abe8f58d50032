"""What objects show of themselves in notebooks: tables, pages in one line, figures."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

import sparkml_dist as sd
from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.manifest import Manifest, ShardInfo
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.html.page import Page
from sparkml_dist.html.summary import Row, summary_html
from sparkml_dist.html.values import memory
from sparkml_dist.mining.arrays_model import ArraysModel
from sparkml_dist.mining.clusters.centers_model import CentersModel
from sparkml_dist.mining.point_columns import PointColumns
from sparkml_dist.mining.top_rows import listed
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.model_plot import HasPlot
from sparkml_dist.report.pictures import Picture
from sparkml_dist.report.plots.bars import plot_bars

HOSTILE = "</td><script>alert(1)</script><img src=x onerror=alert(2)>"


def shown(text):
    """Return the rows of a table by name, after checking that it is well-formed and harmless."""
    assert text.isascii() and "<script" not in text and "<img" not in text
    tree = ElementTree.fromstring(text)
    return {row[0].text: "".join(row[1].itertext()) for row in tree.iter("tr")}


def shards(label):
    schema = FeatureSchema((FeatureColumn(HOSTILE, "numeric"), FeatureColumn("b", "numeric")))
    rows = [(0, 40, (30, 10)), (1, 41, (30, 11))]
    infos = [
        ShardInfo(
            index=i,
            file=f"{i}.parquet",
            rows=n,
            bytes=100,
            block_bytes=4096,
            sha256="0" * 64,
            footer_sha256="0" * 64,
            row_groups=(n,),
            class_rows=() if label.is_regression else classes,
            missing=2,
        )
        for i, n, classes in rows
    ]
    manifest = Manifest(schema, label, None, (), 0, tuple(infos))
    return PartitionedDataset(Folder("/data/a<b>"), manifest)


def test_shards():
    found = shown(shards(Label("what<i>", "string", (HOSTILE, "yes")))._repr_html_())
    assert found == {
        "rows": "81",
        "features": "2 (columns)",
        "label": "what<i>, 2 classes",
        "classes": f"{HOSTILE} 60yes 21",
        "missing values": "4",
        "shards": "2, of 40 to 41 rows (up to 4 KiB in memory)",
        "folder": "/data/a<b>",
    }
    assert shown(shards(Label("price", "target"))._repr_html_())["label"] == "price, a number"


def test_estimators():
    tree = DecisionTreeClassifier(max_depth=3)
    trees = sd.BaggingClassifier(estimator=tree, numMembers=7, labelCol=HOSTILE)
    found = shown(trees._repr_html_())
    assert found["numMembers"] == "7" and found["labelCol"] == HOSTILE
    assert "max_depth=3" in found["estimator"]
    assert "seed" in found  # one of those that are folded
    several = sd.VotingClassifier(estimators=[("a", tree), ("b", LogisticRegression())])
    assert "LogisticRegression" in shown(several._repr_html_())["estimators"]
    assert "default" in shown(sd.RobustZScore()._repr_html_())["Params"]
    assert shown(sd.KMeans(k=4)._repr_html_())["k"] == "4"


def centers(**summary):
    columns = PointColumns("numeric", ("x<b>", "y"))
    arrays = {"centers": np.zeros((3, 2)), "sizes": np.array([50, 20, 10])}
    content = {"width": 2, "metric": "euclidean"}
    return CentersModel(columns=columns, content=content, arrays=arrays, summary=summary)


def test_clusters_and_their_pictures():
    found = shown(centers(rows=80, inertia=1.5)._repr_html_())
    assert found["columns"] == "x<b>, y" and found["clusters"] == "3 (by rows)"
    assert found["fit"] == "rows 80, inertia 1.5"
    sizes = centers().plot()
    assert [bar.get_width() for bar in sizes.axes[0].patches] == [50, 20, 10]
    scores = [{"k": 3, "silhouette": 0.6}, {"k": 2, "silhouette": 0.4}]
    tried = centers(scores=scores).plot().axes[0]
    assert [t.get_text() for t in tried.get_yticklabels()] == ["2", "3"]
    assert tried.patches[1].get_facecolor() != tried.patches[0].get_facecolor()
    assert isinstance(centers(), ArraysModel)


class Fitted(HasPlot):
    def __init__(self, **summary):
        self.summary = summary


def test_models_draw_what_they_know():
    history = {"loss": [2.0, 1.0], "val_loss": [2.1, 1.5]}
    assert Fitted(history=history, best_epoch=1).plot().axes[0].get_xlabel() == "epoch"
    assert Fitted(history=history, rounds=2).plot().axes[0].get_xlabel() == "round"
    curve = {"metric": "auc", "rows": 9, "scores": [0.5, 0.6], "best": 2, "stopped": False}
    assert "members" in Fitted(curve=curve).plot().axes[0].get_xlabel()
    members = [{"seconds": 1.0, "task_seconds": 1.5}] * 3
    assert len(Fitted(members=members).plot().axes[0].patches) == 6
    ranked = Fitted(members=members)
    ranked._importances = {"a": 0.1, "b": 0.9}
    assert [t.get_text() for t in ranked.plot().axes[0].get_yticklabels()] == ["b", "a"]
    networks = [{"history": {"loss": [2.0, 1.0, 0.5]}}, {"history": {"loss": [4.0, 2.0]}}]
    line = Fitted(members=networks).plot().axes[0].lines[0]
    assert line.get_ydata().tolist() == [3.0, 1.5]
    with pytest.raises(ConfigurationError, match="not_kept"):
        Fitted().plot()


def test_a_figure_is_a_picture_for_notebooks_and_pages(tmp_path):
    figure = Fitted(members=[{"seconds": 1.0, "task_seconds": 1.5}]).plot()
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert Picture.of("Seconds", figure).source.startswith("data:image/png")
    import matplotlib._pylab_helpers as helpers

    assert not helpers.Gcf.figs  # pyplot knows nothing of it
    where = plot_bars({HOSTILE: 1.0}, Folder.at(tmp_path), "b.png", title="$x$", x="$\\frac$")
    assert Path(where).read_bytes().startswith(b"\x89PNG")


def test_a_page_shows_itself_in_one_line():
    page = Page("<html>" + "x" * 10_000, "build/<i>.html")
    assert page == "<html>" + "x" * 10_000 and len(repr(page)) < 60
    assert shown(page._repr_html_()) == {
        "written to": "build/<i>.html",
        "size": "10,006 characters",
    }
    assert "written to" not in page.__class__("a")._repr_html_()
    for twin in (pickle.loads(pickle.dumps(page)), copy.deepcopy(page)):
        assert (twin, twin.path) == (page, page.path)
    assert type(str(page)) is str


def test_values():
    assert [memory(n) for n in (3, 2048, 1_500_000, 5 * 2**40, 1010 * 2**10)] == [
        "3 bytes",
        "2 KiB",
        "1.43 MiB",
        "5 TiB",
        "1,010 KiB",
    ]
    assert listed(["a", "b"]) == "a, b" and listed([["a"], ["b", "c"]]) == "{a} → {b, c}"
    assert listed([]) == ""
    text = summary_html("n", [Row("a", "1")], [Row("b", "2"), Row("c")])
    assert "1 more" in text and shown(text) == {"a": "1", "b": "2"}
