"""The main that ``sparkml-dist doctor --master …`` gives to spark-submit."""

from __future__ import annotations

import sys

from sparkml_dist.console.doctor import report_on_cluster

if __name__ == "__main__":
    sys.exit(report_on_cluster(sys.argv[1:]))
