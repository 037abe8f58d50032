"""Find a good model for a table by itself, within a budget of time or of trials."""

from __future__ import annotations

import sys

from sparkml_dist.cli.runner import run_job
from sparkml_dist.cli.selection import options, select_algorithm

if __name__ == "__main__":
    sys.exit(run_job("automl", options(), select_algorithm))
