"""Learn a Bayesian network from a table of categories."""

from __future__ import annotations

import sys

from sparkml_dist.cli.graphical import learn_graph, options
from sparkml_dist.cli.runner import run_job

if __name__ == "__main__":
    sys.exit(run_job("learn_network", options(), learn_graph))
