"""Learn a Bayesian network from a table of categories."""

from __future__ import annotations

import argparse
import sys

from sparkml_dist.cli.graph_options import options
from sparkml_dist.cli.runner import Job, run_job

NAME = "learn_network"


def main(args: argparse.Namespace, job: Job) -> None:
    """Run the job."""
    from sparkml_dist.cli.graphical import learn_graph

    learn_graph(args, job)


if __name__ == "__main__":
    sys.exit(run_job(NAME, options(), main))
