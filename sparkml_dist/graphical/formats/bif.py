"""Reads and writes networks in the Bayesian Interchange Format (BIF 0.15)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from sparkml_dist.graphical.formats.draft import Draft, DraftTable, not_read
from sparkml_dist.graphical.network import Network

__all__ = ["from_bif", "to_bif"]

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
    |"(?P<quoted>(?:[^"\\]|\\.)*)"
    |(?P<mark>[{}()\[\];,|])
    |(?P<word>[^\s{}()\[\];,|"]+)""",
    re.VERBOSE | re.DOTALL,
)
_PLAIN = re.compile(r"[^\s{}()\[\];,|\"/\\]+")


class _Token(NamedTuple):
    text: str
    line: int
    mark: bool


def from_bif(text: str, where: str = "the file") -> Network:
    """Return the network that a BIF file describes.

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
        ``network_not_read``, with the number of the line.

    Notes
    -----
    A list ``table`` of a variable with parents has the variable's own state as its slowest index.
    Properties are ignored.
    """
    return _Reader(text, where).network()


class _Reader:
    def __init__(self, text: str, where: str) -> None:
        self.where = where
        self.draft = Draft(where)
        self.tokens = list(self._tokens(text))
        self.at = 0

    def _tokens(self, text: str) -> Iterator[_Token]:
        line, at = 1, 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise not_read(self.where, line, f"{text[at : at + 20]!r} is not BIF.")
            if match["space"] is None:
                quoted = match["quoted"]
                if quoted is not None:
                    yield _Token(re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL), line, False)
                else:
                    yield _Token(match[0], line, match["mark"] is not None)
            line += match[0].count("\n")
            at = match.end()

    def network(self) -> Network:
        while self.at < len(self.tokens):
            token = self._next("a block")
            if token.text == "network":
                self._skip_block()
            elif token.text == "variable":
                self._variable()
            elif token.text == "probability":
                self._probability()
            else:
                raise not_read(
                    self.where,
                    token.line,
                    f"expected network, variable or probability. Got {token.text!r}.",
                )
        if not self.draft.variables:
            raise not_read(self.where, 1, "there is no variable.", "Give a file in BIF.")
        return self.draft.network()

    def _next(self, wanted: str) -> _Token:
        if self.at >= len(self.tokens):
            last = self.tokens[-1].line if self.tokens else 1
            raise not_read(self.where, last, f"the file ends where {wanted} is expected.")
        self.at += 1
        return self.tokens[self.at - 1]

    def _mark(self, wanted: str) -> None:
        token = self._next(repr(wanted))
        if not token.mark or token.text != wanted:
            raise not_read(self.where, token.line, f"expected {wanted!r}. Got {token.text!r}.")

    def _word(self, what: str) -> _Token:
        token = self._next(what)
        if token.mark:
            raise not_read(self.where, token.line, f"expected {what}. Got {token.text!r}.")
        return token

    def _peek(self, text: str) -> bool:
        return self.at < len(self.tokens) and self.tokens[self.at][::2] == (text, True)

    def _skip_block(self) -> None:
        while not self._peek("{"):
            self._next("'{'")
        self._mark("{")
        depth = 1
        while depth:
            token = self._next("'}'")
            depth += token.mark and (token.text == "{") - (token.text == "}")

    def _skip_statement(self) -> None:
        while not self._peek(";"):
            self._next("';'")
        self._mark(";")

    def _words(self, end: str, what: str) -> list[str]:
        found: list[str] = []
        while not self._peek(end):
            if self._peek(","):
                self._mark(",")
                continue
            found.append(self._word(what).text)
        self._mark(end)
        return found

    def _variable(self) -> None:
        name = self._word("the name of a variable")
        self._mark("{")
        states: list[str] | None = None
        while not self._peek("}"):
            token = self._word("'type' or 'property'")
            if token.text != "type":
                self._skip_statement()
                continue
            kind = self._word("'discrete'")
            if kind.text != "discrete":
                raise not_read(
                    self.where, kind.line, f"{name.text!r} is {kind.text}, not discrete."
                )
            self._mark("[")
            number = self._word("the number of states")
            self._mark("]")
            self._mark("{")
            states = self._words("}", "a state")
            self._mark(";")
            if number.text != str(len(states)):
                raise not_read(
                    self.where,
                    number.line,
                    f"{name.text!r} should have {number.text} states, but {len(states)} follow.",
                )
        self._mark("}")
        if states is None:
            raise not_read(self.where, name.line, f"{name.text!r} has no type.")
        self.draft.add_variable(name.text, states, name.line)

    def _probability(self) -> None:
        self._mark("(")
        child = self._word("the name of a variable")
        if self._peek("|"):
            self._mark("|")
        # In BIF 0.15, which JavaBayes writes, nothing stands between a variable and its parents.
        parents = self._words(")", "the name of a parent")
        table = DraftTable(child.line, child.text, parents)
        self._mark("{")
        while not self._peek("}"):
            self._row(table)
        self._mark("}")
        self.draft.add_table(table)

    def _row(self, table: DraftTable) -> None:
        if self._peek("("):
            line = self._next("'('").line
            given = tuple(self._words(")", "the state of a parent"))
            if given in table.rows:
                raise not_read(self.where, line, f"{table.child!r} has the row {given} twice.")
            table.rows[given] = (line, self._numbers())
            return
        token = self._word("a row, 'table' or 'default'")
        line = token.line
        if token.text == "table":
            table.whole = (line, self._numbers())
        elif token.text == "default":
            table.default = self._numbers()
        elif token.text == "property":
            self._skip_statement()
        else:
            raise not_read(
                self.where, line, f"expected a row, table or default. Got {token.text!r}."
            )

    def _numbers(self) -> list[float]:
        found = []
        while not self._peek(";"):
            if self._peek(","):
                self._mark(",")
                continue
            token = self._word("a probability")
            try:
                found.append(float(token.text))
            except ValueError:
                raise not_read(
                    self.where, token.line, f"{token.text!r} is not a probability."
                ) from None
        self._mark(";")
        return found


def to_bif(network: Network, name: str = "unknown") -> str:
    """Return a network as the content of a BIF file.

    Probabilities have as many digits as it takes to read the same numbers again.

    Parameters
    ----------
    network : Network
    name : str, default="unknown"
        Name of the network.
    """
    lines = [f"network {_shown(name)} {{", "}"]
    for variable in network.variables.items:
        states = ", ".join(_shown(s) for s in variable.states)
        lines += [
            f"variable {_shown(variable.name)} {{",
            f"  type discrete [ {len(variable.states)} ] {{ {states} }};",
            "}",
        ]
    for v, of in enumerate(network.parents):
        child = _shown(network.names[v])
        given = ", ".join(_shown(network.names[p]) for p in of)
        lines.append(f"probability ( {child}{' | ' if of else ''}{given} ) {{")
        table = network.tables[v]
        for at in np.ndindex(*table.shape[:-1]):
            numbers = ", ".join(repr(float(x)) for x in table[at])
            states = ", ".join(
                _shown(network.variables[p].states[i]) for p, i in zip(of, at, strict=True)
            )
            lines.append(f"  ({states}) {numbers};" if of else f"  table {numbers};")
        lines.append("}")
    return "\n".join(lines) + "\n"


def _shown(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
