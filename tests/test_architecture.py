"""The picture of the architecture is that of the code, and the map names files that exist."""

from __future__ import annotations

import re

import pytest

from scripts.draw_architecture import PICTURE, direct, floors, picture, rooms_and_imports
from tests.examples import ROOT


@pytest.fixture(scope="module")
def rooms():
    return rooms_and_imports(ROOT)


def test_the_picture_is_what_the_script_draws(rooms):
    assert PICTURE.read_text() == picture(rooms), "Run: python scripts/draw_architecture.py"


def test_rooms_and_their_floors(rooms):
    level = floors(rooms)
    assert level["jobs/"] > level["cli/"] > level["models/"]  # it finds estimators by public name
    assert level["ensemble/"] > level["members/"] > level["models/"] > level["dataset/"]
    assert level["learners/"] < level["members/"]
    assert {"errors.py", "session.py"} <= set(next(r for r in level if level[r] == 0).split())
    assert "ensemble/" not in rooms["deep/"] | rooms["mining/"]
    assert "sparkml_dist/" not in rooms and "__init__.py" not in "".join(rooms)


def test_circles_are_refused():
    with pytest.raises(ValueError, match=r"\['a', 'b'\]"):
        floors({"a": {"b"}, "b": {"a", "c"}, "c": set()})


def test_arrows_that_follow_from_others_are_left_out():
    graph = {"a": {"b", "c"}, "b": {"c"}, "c": set()}
    assert direct(graph) == {"a": {"b"}, "b": {"c"}, "c": set()}


def test_imports_inside_functions_and_for_types_count(tmp_path):
    package = tmp_path / "sparkml_dist"
    for folder in ("one", "two"):
        (package / folder).mkdir(parents=True)
    package.joinpath("errors.py").write_text("")
    package.joinpath("__init__.py").write_text("import sparkml_dist.one")
    package.joinpath("two/deep.py").write_text("from sparkml_dist import errors\n")
    package.joinpath("one/a.py").write_text(
        "if TYPE_CHECKING:\n    import sparkml_dist.two.deep\n"
        "def f():\n    from sparkml_dist.errors import E\n"
    )
    assert rooms_and_imports(tmp_path) == {
        "one/": {"two/", "errors.py"},
        "two/": {"errors.py"},
        "errors.py": set(),
    }


def test_the_map_names_every_room_and_files_that_exist(rooms):
    text = (ROOT / "docs" / "architecture.md").read_text()
    folders = {room for room in rooms if room.endswith("/")}
    assert folders <= set(re.findall(r"^\| `(\w+/)` \|", text, re.MULTILINE))
    named = re.findall(r"`(?:sparkml_dist/)?([\w/]+\.py)`", text)
    assert len(named) > 25
    homes = (ROOT, ROOT / "sparkml_dist")
    assert [name for name in named if not any((home / name).is_file() for home in homes)] == []
