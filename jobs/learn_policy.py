"""Learn a policy from logged transitions, and estimate what it is worth."""

from __future__ import annotations

import argparse
import sys

from sparkml_dist.cli.policy_options import options
from sparkml_dist.cli.runner import Job, run_job

NAME = "learn_policy"


def main(args: argparse.Namespace, job: Job) -> None:
    """Run the job."""
    from sparkml_dist.cli.policies import learn_policy

    learn_policy(args, job)


if __name__ == "__main__":
    sys.exit(run_job(NAME, options(), main))
