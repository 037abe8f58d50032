"""`docs/errors.md` is the list of all error codes: the source has no other, and no fewer."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import sparkml_dist.errors as errors
from tests.examples import ROOT

CLASSES = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.SparkMLDistError)
}
HEAD = "| code | what it means | what to do |"
# Codes that reach an error through a variable, by file: the class, and the codes as they stand
# there in a table or in what a function returns.
TABLES = {
    "cli/failures.py": {
        "ResourceError": {"jvm_out_of_memory", "worker_died"},
        "StorageError": {"disk_full", "storage_failed"},
    },
    "cluster/gang_errors.py": {
        "ResourceError": {"rank_memory"},
        "TrainingError": {
            "gang_line_forged",
            "gang_stalled",
            "rank_died",
            "rank_failed",
            "rank_lost",
            "rank_not_started",
            "rank_silent",
        },
    },
    "cluster/failures.py": {"TrainingError": {"task_failed"}},
    "persistence/filesystem.py": {
        "StorageError": {
            "disk_full",
            "name_too_long",
            "no_permission",
            "not_a_file",
            "not_a_folder",
            "read_only",
            "storage_failed",
        }
    },
    "persistence/parquet.py": {
        "StorageError": {
            "disk_full",
            "name_too_long",
            "no_permission",
            "not_a_folder",
            "read_only",
            "storage_failed",
        }
    },
    "reinforcement/episode_walk.py": {
        "DataError": {
            "action_null",
            "discount_range",
            "probability_range",
            "reward_not_finite",
            "rows_after_end",
            "step_gap",
            "step_twice",
        }
    },
    "reinforcement/tabular/grouped_counts.py": {
        "DataError": {"discount_range", "reward_not_finite", "weight_null", "weight_negative"}
    },
}


@cache
def trees() -> dict[str, ast.Module]:
    library, jobs = ROOT / "sparkml_dist", ROOT / "jobs"
    found = {str(p.relative_to(library)): p for p in sorted(library.rglob("*.py"))}
    found |= {f"jobs/{p.name}": p for p in sorted(jobs.glob("*.py"))}
    return {name: ast.parse(path.read_text()) for name, path in found.items()}


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """File, class and call of every error that is made in the source."""
    for file, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func).rpartition(".")[2]
                if name in CLASSES and node.args and not isinstance(node.args[0], ast.Starred):
                    yield file, name, node


def literals(node: ast.expr) -> list[str] | None:
    """The texts that an expression can be, or None where it does not tell."""
    if isinstance(node, ast.Constant):
        return [node.value]
    if isinstance(node, ast.IfExp):
        either = [literals(node.body), literals(node.orelse)]
        return None if None in either else [t for texts in either if texts for t in texts]
    return None


@cache
def raised() -> dict[str, set[str]]:
    """Every code, with the classes that it is raised as."""
    found: dict[str, set[str]] = {}
    for _, name, call in calls():
        for code in literals(call.args[0]) or ():
            found.setdefault(code, set()).add(name)
    for table in TABLES.values():
        for name, codes in table.items():
            for code in codes:
                found.setdefault(code, set()).add(name)
    return found


@cache
def documented() -> list[tuple[str, str, str, str]]:
    """Class, code, meaning and remedy of every row of the document."""
    rows, kind = [], ""
    for line in (ROOT / "docs" / "errors.md").read_text().splitlines():
        if heading := re.fullmatch(r"## (\w+) \((\d+)\)", line):
            kind = heading[1]
            assert CLASSES[kind].exit_status == int(heading[2])
        elif kind and (row := re.fullmatch(r"\| `(\w+)` \| (.*) \| (.*) \|", line)):
            rows.append((kind, *row.groups()))
        else:
            assert not kind or line in ("", HEAD, "|---|---|---|")
    return rows


def test_the_document_lists_the_codes_of_the_source():
    assert {code: {kind} for kind, code, *_ in documented()} == raised()


def test_a_code_stands_in_the_document_once_and_in_order():
    by_class: dict[str, list[str]] = {}
    for kind, code, meaning, remedy in documented():
        by_class.setdefault(kind, []).append(code)
        assert meaning.endswith(".") and remedy.endswith("."), code
    assert set(by_class) == set(CLASSES)
    for codes in by_class.values():
        assert codes == sorted(set(codes))
    meanings = [meaning for _, _, meaning, _ in documented()]
    assert len(set(meanings)) == len(meanings)


def test_codes_are_in_snake_case():
    assert not [code for code in raised() if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", code)]


def test_a_code_that_is_not_written_where_it_is_raised_is_in_a_table():
    for file, _, call in calls():
        # What was raised before, raised again with more to say.
        again = ast.unparse(call.args[0]) == "error.code"
        assert literals(call.args[0]) or again or file in TABLES, f"{file}:{call.lineno}"
    for file, table in TABLES.items():
        texts = {n.value for n in ast.walk(trees()[file]) if isinstance(n, ast.Constant)}
        assert not set().union(*table.values()) - texts, file


def _endings(node: ast.expr) -> Iterator[str]:
    """How a message can end: its last words, or ``{…}`` for a value after them."""
    match node:
        case ast.Constant():
            yield node.value
        case ast.IfExp():
            yield from _endings(node.body)
            yield from _endings(node.orelse)
        case ast.BinOp(op=ast.Add()):
            for end in _endings(node.right):
                yield from (_endings(node.left) if end == "" else (end,))
        case ast.JoinedStr():
            before = "".join(
                getattr(part, "value", "{…}")
                for part in node.values[:-1]
                if isinstance(part, ast.Constant)
            )
            last = node.values[-1]
            yield last.value if isinstance(last, ast.Constant) else before + "{…}"
        case _:
            yield "{…}"


def test_messages_are_sentences():
    for file, _, call in calls():
        where = f"{file}:{call.lineno}"
        assert len(call.args) in (2, 3), where
        for end in _endings(call.args[1]):
            # A cause in its own words follows a colon; `nearest` adds a question or nothing.
            assert re.search(r"([.?]|: ?{…}|[.] ?{…}|^{…})$", end), f"{where}: …{end[-40:]!r}"


def _sections(tree: ast.Module) -> Iterator[tuple[str, set[str], str]]:
    """Name, classes and text of each entry under the heading Raises of a docstring."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            continue
        text = ast.get_docstring(node) or ""
        if found := re.search(r"^Raises\n-+\n(.*?)(?=^\S[^\n]*\n-+\n|\Z)", text, re.S | re.M):
            for entry in re.split(r"^(?=\S)", found[1], flags=re.M):
                kinds, _, said = entry.partition("\n")
                yield getattr(node, "name", ""), set(re.split(r", | or ", kinds)), said


def test_docstrings_name_codes_that_there_are():
    wrong = []
    for file, tree in trees().items():
        for name, kinds, said in _sections(tree):
            ours = kinds & set(CLASSES)
            for code in re.findall(r"``([a-z][a-z0-9_]*)``", said) if ours else ():
                found = raised().get(code, set())
                # A heading of the base class stands for all of them.
                if not found or not ("SparkMLDistError" in ours or found & ours):
                    wrong.append(f"{file}: {name} has {code} as {ours}; it is {found or 'unknown'}")
    assert not wrong, "\n".join(wrong)


def test_documents_name_codes_that_there_are():
    """In a sentence on what is refused, a word in brackets and snake case is a code."""
    for path in [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]:
        named = re.findall(r"refused \(`([a-z_]+)`\)", path.read_text())
        assert set(named) <= set(raised()), path.name


def test_the_readme_links_the_list():
    assert "(docs/errors.md)" in Path(ROOT, "README.md").read_text()
