"""Specifications of builders, and how builders are sent to the ranks."""

from __future__ import annotations

import ast
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparkml_dist.deep.network.builders import BUILDERS
from sparkml_dist.errors import ConfigurationError, nearest

__all__ = ["BuilderFile", "resolve_builder"]


@dataclass(frozen=True)
class BuilderFile:
    """A function in a user's file, sent to the ranks as source.

    The driver does not run the file, which would import TensorFlow there. Each rank does.

    Attributes
    ----------
    path : str
        Path of the file on the driver, for messages.
    function : str
        Name of the function.
    source : str
        The file's content.
    """

    path: str
    function: str
    source: str

    def __str__(self) -> str:
        """Return its name in lists of trusted types: the file's name and the function."""
        return f"{Path(self.path).name}:{self.function}"

    @classmethod
    def read(cls, file: str, function: str) -> BuilderFile:
        """Read a file and check that it has the function.

        Raises
        ------
        ConfigurationError
            ``builder_file_not_found``, ``builder_file_failed`` or ``builder_not_found``.
        """
        path = Path(file).resolve()
        try:
            source = path.read_text(encoding="utf-8")
            tree = ast.parse(source, str(path))
        except OSError as error:
            raise ConfigurationError(
                "builder_file_not_found",
                f"The builder's file {file!r} cannot be read: {error.strerror}.",
            ) from error
        except (SyntaxError, ValueError) as error:
            raise ConfigurationError(
                "builder_file_failed", f"{file!r} is not valid Python: {error}."
            ) from error
        names = _names(tree)
        if function not in names and "*" not in names:
            raise ConfigurationError(
                "builder_not_found",
                f"{file!r} has no function {function!r}.{nearest(function, names)}",
                f"It has: {', '.join(names) or 'none'}.",
            )
        return cls(str(path), function, source)

    def load(self) -> Callable[..., Any]:
        """Run the file and return the function.

        Raises
        ------
        ConfigurationError
            ``builder_file_failed`` or ``builder_not_found``.
        """
        # Under a private name, so that a file called keras.py or utils.py hides no package.
        module = types.ModuleType(f"_sparkml_dist_builder_{Path(self.path).stem}")
        module.__file__ = self.path
        sys.modules[module.__name__] = module
        try:
            exec(compile(self.source, self.path, "exec"), module.__dict__)
        except Exception as error:
            raise ConfigurationError(
                "builder_file_failed",
                f"{self.path!r} cannot be run: {type(error).__name__}: {error}",
                "Files that it imports must be installed on every worker.",
            ) from error
        found = getattr(module, self.function, None)
        if not callable(found):
            raise ConfigurationError(
                "builder_not_found", f"{self.path!r} has no function {self.function!r}."
            )
        builder: Callable[..., Any] = found
        return builder


def resolve_builder(
    spec: str | Callable[..., Any] | BuilderFile,
) -> Callable[..., Any] | BuilderFile:
    """Return the builder for a specification.

    Parameters
    ----------
    spec : str, callable or BuilderFile
        ``"mlp"``, ``"cnn"``, ``"FILE.py:FUNCTION"``, a function itself, or a file that was read.

    Returns
    -------
    callable or BuilderFile

    Raises
    ------
    ConfigurationError
        ``unknown_builder``, or those of `BuilderFile.read`.
    """
    if callable(spec) or isinstance(spec, BuilderFile):
        return spec
    if isinstance(spec, str) and spec in BUILDERS:
        return BUILDERS[spec]
    file, colon, function = spec.rpartition(":") if isinstance(spec, str) else ("", "", "")
    if not (colon and file.endswith(".py")):
        raise ConfigurationError(
            "unknown_builder",
            f"A builder must be a function, 'FILE.py:FUNCTION', or one of {sorted(BUILDERS)}. "
            f"Got {spec!r}.{nearest(str(spec), BUILDERS)}",
        )
    return BuilderFile.read(file, function)


def _names(tree: ast.Module) -> list[str]:
    """Return the names that a file defines, assigns or imports at its top level."""
    found: list[str] = []
    for node in tree.body:
        match node:
            case ast.FunctionDef() | ast.ClassDef():
                found.append(node.name)
            case ast.Assign():
                found += [t.id for t in node.targets if isinstance(t, ast.Name)]
            case ast.ImportFrom():
                found += [a.asname or a.name for a in node.names]
            case ast.If() | ast.Try():  # may define any name
                found.append("*")
    return found
