"""Runs the example notebooks in kernels of their own, and shows what they show as a page."""

from __future__ import annotations

import html
import json
import os
import shutil
import socket
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))

# The client of a local Connect server asks for port 15002, which another run may hold.
_OWN_PORT = """
from pyspark.sql.connect.client.core import DefaultChannelBuilder
DefaultChannelBuilder.default_port = staticmethod(lambda: {port})
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run_notebook(path: Path, folder: Path, *, connect: bool, timeout: int = 300) -> Any:
    """Return the notebook with its outputs.

    Parameters
    ----------
    path : Path
    folder : Path
        In which it runs, in place of the project's.
    connect : bool
        Whether on a local Spark Connect server.
    timeout : int, default=300
        Seconds of a cell.
    """
    import nbformat
    from nbclient import NotebookClient

    book = nbformat.read(path, as_version=4)
    home = folder / "examples"
    home.mkdir(parents=True, exist_ok=True)
    if not (folder / "data").exists():
        shutil.copytree(ROOT / "data", folder / "data")
    options = "--driver-memory 1500m --conf spark.ui.enabled=false"
    names = ("SPARK_REMOTE", "MASTER", "PYSPARK_SUBMIT_ARGS", "SPARK_CONNECT_MODE_ENABLED")
    env = {k: v for k, v in os.environ.items() if k not in names}
    env |= {
        "PYTHONPATH": str(ROOT),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    if connect:
        port = free_port()
        options += f" --conf spark.connect.grpc.binding.port={port}"
        env["SPARK_REMOTE"] = "local[2]"
        book.cells.insert(0, nbformat.v4.new_code_cell(_OWN_PORT.format(port=port)))
    else:
        options += " --master local[2]"
    env["PYSPARK_SUBMIT_ARGS"] = f"{options} pyspark-shell"
    client = NotebookClient(
        book,
        timeout=timeout,
        kernel_name="python3",
        resources={"metadata": {"path": str(home)}},
        record_timing=True,
    )
    client.execute(env=env)
    return book


def outputs(book: Any) -> list[dict[str, Any]]:
    """Return the outputs of all cells."""
    return [o for cell in book.cells if cell.cell_type == "code" for o in cell.outputs]


def text_of(output: dict[str, Any]) -> str:
    """Return what an output shows as text, where it shows nothing better."""
    if output["output_type"] == "stream":
        return str(output["text"])
    data = output.get("data", {})
    rich = {"text/html", "image/png", "application/vnd.jupyter.widget-view+json"} & set(data)
    return "" if rich else str(data.get("text/plain", ""))


def as_page(book: Any) -> str:
    """Return a notebook as a page, in the fonts and widths of Jupyter."""
    parts = []
    for cell in book.cells:
        if cell.cell_type == "markdown":
            parts.append(f"<section><pre class=text>{html.escape(cell.source)}</pre></section>")
            continue
        shown = [f"<pre class=code>{html.escape(cell.source)}</pre>"]
        for output in cell.outputs:
            data = output.get("data", {})
            if "text/html" in data:
                shown.append(f"<div class=output>{data['text/html']}</div>")
            elif "image/png" in data:
                picture = "".join(data["image/png"]).replace("\n", "")
                shown.append(f"<div class=output><img src='data:image/png;base64,{picture}'></div>")
            elif text := text_of(output):
                shown.append(f"<pre class=output>{html.escape(text)}</pre>")
        parts.append(f"<section>{''.join(shown)}</section>")
    return _PAGE.format("\n".join(parts))


_PAGE = """<!DOCTYPE html>
<html><head><meta charset="utf-8"><style>
:root {{ color-scheme: light dark }}
body {{ font: 14px/1.5 system-ui, sans-serif; max-width: 860px; margin: 1em auto; padding: 0 1em }}
section {{ margin: 10px 0 }}
pre {{ font: 13px 'DejaVu Sans Mono', monospace; white-space: pre-wrap; margin: 0 }}
pre {{ overflow-wrap: anywhere }}
pre.code {{ background: #8882; padding: 6px 10px; border-radius: 3px }}
pre.text {{ font: inherit }}
.output {{ margin: 6px 10px }}
.output img {{ max-width: 100% }}
table.dataframe {{ border-collapse: collapse; font-size: 12px }}
table.dataframe td, table.dataframe th {{ padding: 3px 8px; text-align: right }}
</style></head><body>
{}
</body></html>"""


def source_of(path: Path) -> dict[str, Any]:
    """Return a notebook as it is stored."""
    found: dict[str, Any] = json.loads(path.read_text())
    return found
