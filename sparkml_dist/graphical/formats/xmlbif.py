"""Reads and writes networks in XMLBIF 0.3."""

from __future__ import annotations

from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape

import numpy as np

from sparkml_dist.graphical.formats.draft import Draft, DraftTable, not_read
from sparkml_dist.graphical.network import Network

__all__ = ["from_xmlbif", "to_xmlbif"]

_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<BIF VERSION="0.3">
<NETWORK>
"""
_TEXTS = ("NAME", "OUTCOME", "VALUE", "FOR", "GIVEN", "TABLE")


def from_xmlbif(text: str, where: str = "the file") -> Network:
    """Return the network that an XMLBIF file describes.

    Parameters
    ----------
    text : str
        Content of the file.
    where : str
        Its name, for errors.

    Returns
    -------
    Network
        Rows of probabilities are divided by their sums, which rounding leaves near 1.

    Raises
    ------
    DataError
        ``network_not_read``, with the number of the line; also for entities that the file declares.
    """
    return _Reader(where).network(text)


class _Reader:
    """Gathers variables and definitions while expat goes through the file."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.draft = Draft(where)
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.EntityDeclHandler = self._entity
        self.text: list[str] | None = None
        self.path: list[str] = []
        self.fields: dict[str, list[str]] = {}
        self.line = 1
        self.text_line = 1

    def network(self, text: str) -> Network:
        try:
            self.parser.Parse(text, True)
        except expat.ExpatError as error:
            raise not_read(
                self.where, error.lineno, f"the file is not XML: {expat.ErrorString(error.code)}."
            ) from None
        if not self.draft.variables:
            raise not_read(self.where, 1, "there is no variable.", "Give a file in XMLBIF.")
        return self.draft.network()

    def _start(self, tag: str, _: dict[str, str]) -> None:
        tag = tag.upper()
        self.path.append(tag)
        if tag in ("VARIABLE", "DEFINITION", "PROBABILITY"):
            self.fields, self.line = {}, self.parser.CurrentLineNumber
        if tag in _TEXTS:
            self.text, self.text_line = [], self.parser.CurrentLineNumber

    def _text(self, text: str) -> None:
        if self.text is not None:
            self.text.append(text)

    def _end(self, tag: str) -> None:
        tag = self.path.pop()
        if tag in _TEXTS and self.text is not None:
            content = "".join(self.text)
            self.fields.setdefault(tag, []).append(content if tag == "TABLE" else content.strip())
            if tag == "TABLE":
                self.fields["TABLE_LINE"] = [str(self.text_line)]
            self.text = None
        elif tag == "VARIABLE":
            name = self._one("NAME")
            states = [*self.fields.get("OUTCOME", []), *self.fields.get("VALUE", [])]
            self.draft.add_variable(name, states, self.line)
        elif tag in ("DEFINITION", "PROBABILITY"):
            self._definition()

    def _definition(self) -> None:
        table = DraftTable(
            self.line, self._one("FOR"), self.fields.get("GIVEN", []), child_first=False
        )
        numbers = []
        for word in self._one("TABLE").split():
            try:
                numbers.append(float(word))
            except ValueError:
                raise not_read(
                    self.where, self.line, f"{word!r} is not a probability of {table.child!r}."
                ) from None
        table.whole = (int(self.fields["TABLE_LINE"][0]), numbers)
        self.draft.add_table(table)

    def _one(self, tag: str) -> str:
        found = self.fields.get(tag, [])
        if len(found) != 1:
            raise not_read(self.where, self.line, f"expected one {tag}. Got {len(found)}.")
        return found[0]

    def _entity(self, *_: Any) -> None:
        raise not_read(
            self.where,
            self.parser.CurrentLineNumber,
            "the file declares an entity, which may expand without end.",
            "Write the text itself.",
        )


def to_xmlbif(network: Network, name: str = "unknown") -> str:
    """Return a network as the content of an XMLBIF file.

    Parameters
    ----------
    network : Network
    name : str, default="unknown"
    """
    lines = [f"<NAME>{escape(name)}</NAME>"]
    for variable in network.variables.items:
        lines += ['<VARIABLE TYPE="nature">', f"  <NAME>{escape(variable.name)}</NAME>"]
        lines += [f"  <OUTCOME>{escape(state)}</OUTCOME>" for state in variable.states]
        lines.append("</VARIABLE>")
    for v, of in enumerate(network.parents):
        lines += ["<DEFINITION>", f"  <FOR>{escape(network.names[v])}</FOR>"]
        lines += [f"  <GIVEN>{escape(network.names[p])}</GIVEN>" for p in of]
        rows = network.tables[v].reshape(-1, network.tables[v].shape[-1])
        lines.append("  <TABLE>")
        lines += ["    " + " ".join(repr(float(x)) for x in row) for row in np.atleast_2d(rows)]
        lines += ["  </TABLE>", "</DEFINITION>"]
    return _HEAD + "\n".join(lines) + "\n</NETWORK>\n</BIF>\n"
