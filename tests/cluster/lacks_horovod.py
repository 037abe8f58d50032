"""Imported by a rank whose interpreter lacks a package."""

import horovod_of_no_kind  # noqa: F401
