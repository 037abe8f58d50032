"""The version of the library; a test keeps it equal to that in pyproject.toml."""

__version__ = "0.1.0"
