"""Profile a table, and optionally compare it with another one, as HTML pages and JSON."""

from __future__ import annotations

import sys

if __name__ == "profile":
    # Importers of `profile` want the standard library's module, which this file hides: the folder
    # of a job comes first on the path, and PySpark imports cProfile.
    import sysconfig
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location(__name__, f"{sysconfig.get_path('stdlib')}/profile.py")
    assert spec is not None and spec.loader is not None
    sys.modules[__name__] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules[__name__])
else:
    from sparkml_dist.cli.profiling import options, profile_table
    from sparkml_dist.cli.runner import run_job

if __name__ == "__main__":
    sys.exit(run_job("profile", options(), profile_table))
