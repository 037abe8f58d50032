"""Limits the memory of the Python workers of a benchmark; on their PYTHONPATH, not the driver's."""

import os
import resource

if "BENCHMARK_DATA_LIMIT" in os.environ:
    # Private writable memory (heap, anonymous maps): what a worker asks for, unlike address space,
    # of which libraries reserve gigabytes that they never touch.
    limit = int(os.environ["BENCHMARK_DATA_LIMIT"])
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
