"""Build the documentation site: gather its pages, write the reference, run MkDocs strictly.

The pages are ``docs/``, the documents at the root and a reference of every public name, made from
the registry. A warning (a dead link, a page that no menu names, a docstring that is no numpydoc) is
an error. Nothing is fetched; the site asks no other host for anything.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from sparkml_dist.public_names import PUBLIC_NAMES

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "build" / "docs"
#: Documents at the root to their pages.
AT_ROOT = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
#: Pages of the reference to their titles; names of other modules stand on the last.
TITLES = {
    "dataset": "Data sets",
    "ensemble": "Ensembles",
    "boosting": "Boosting",
    "kernels": "Kernel methods",
    "statistics": "Statistics",
    "federated": "Federated learning",
    "deep": "Networks",
    "mining": "Mining",
    "graphical": "Bayesian networks",
    "reinforcement": "Policies",
    "automl": "Selection of algorithms",
    "search": "Search",
    "common": "Models, sessions and errors",
}
#: What all estimators and models can do, on the last page too.
SHARED = """
## What every estimator and model has

As in PySpark ML: `copy`, `explainParams`, and `getX` and `setX` for each Param `x`, or
`setParams(x=…)` for several.

::: sparkml_dist.models.persistable.Persistable
    options:
      show_root_heading: false
      show_docstring_description: false
      heading_level: 3
      members: [write, save, read, load]
"""
STYLE = ".highlight pre { padding: .75rem; } .highlight .err { border: 0; }\n"


def main() -> int:
    """Build the site and return MkDocs' status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages-only", action="store_true", help="gather the pages in build/docs")
    options = parser.parse_args()
    gather(SOURCE)
    if options.pages_only:
        return 0
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--clean"]
    return subprocess.run([*command, "-f", str(ROOT / "mkdocs.yml")], check=False).returncode


def gather(folder: Path) -> None:
    """Write the pages of the site to a folder, in place of what is there."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs", folder)
    for path in folder.glob("*.md"):
        path.write_text(with_site_links(path.read_text(), "docs"))
    for name, page in AT_ROOT.items():
        folder.joinpath(page).write_text(with_site_links((ROOT / name).read_text(), "."))
    reference = folder / "reference"
    reference.mkdir()
    for page, text in reference_pages(PUBLIC_NAMES).items():
        reference.joinpath(f"{page}.md").write_text(text)
    folder.joinpath("site.css").write_text(STYLE + pygments_style())


def with_site_links(text: str, home: str) -> str:
    """Return a document whose links between the project's documents are links between pages.

    A link to a file that is no page, such as a script, becomes its text.
    """

    def moved(found: re.Match[str]) -> str:
        label, target = found["label"], found["target"]
        path, _, anchor = target.partition("#")
        if not path or re.match(r"[a-z]+:", target):
            return found[0]
        file = (ROOT / home / path).resolve().relative_to(ROOT)
        if file.parts[0] == "docs":
            page = "/".join(file.parts[1:])
        elif str(file) in AT_ROOT:
            page = AT_ROOT[str(file)]
        else:
            return label
        return f"[{label}]({page}{'#' + anchor if anchor else ''})"

    return re.sub(r"(?<!!)\[(?P<label>[^\]\n]+)\]\((?P<target>[^)\s]+)\)", moved, text)


def reference_pages(public_names: Mapping[str, str]) -> dict[str, str]:
    """Return the pages of the reference by name, each public name on one of them.

    Parameters
    ----------
    public_names : mapping of str to str
        Public names to the modules inside ``sparkml_dist`` that offer them.
    """
    sections: dict[str, list[str]] = {page: [] for page in TITLES}
    for name, module in sorted(public_names.items(), key=lambda item: item[0].lower()):
        sections[module if module in TITLES else "common"].append(name)
    pages = {
        page: f"# {TITLES[page]}\n\n"
        + "\n".join(f"::: sparkml_dist.{public_names[name]}.{name}\n" for name in names)
        for page, names in sections.items()
    }
    pages["common"] += SHARED
    lines = [
        "# Reference",
        "",
        "Every public name. All are imported from the package itself: `import sparkml_dist as sd`.",
    ]
    for page, names in sections.items():
        lines += ["", f"## {TITLES[page]}", ""]
        lines += [
            f"- [`{name}`]({page}.md#sparkml_dist.{public_names[name]}.{name})" for name in names
        ]
    return pages | {"index": "\n".join(lines) + "\n"}


def pygments_style() -> str:
    """Return the style sheet of highlighted code."""
    from pygments.formatters import HtmlFormatter

    return str(HtmlFormatter(style="default").get_style_defs(".highlight")) + "\n"


if __name__ == "__main__":
    sys.exit(main())
