"""What the ranks of `test_forked_ranks` do."""

import os
import random
import subprocess
import time

import numpy as np


def who(context, argument):
    print(f"rank {context.rank} speaks", flush=True)
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "variable": os.environ.get("SAID_TO_THE_RANK"),
        "number": random.random(),
        "numpys": float(np.random.random()),  # noqa: NPY002 - of the process
    }


def sleep(context, argument):
    child = subprocess.Popen(["sleep", "600"])
    context.emit("asleep", pid=os.getpid(), server=os.getppid(), child=child.pid)
    time.sleep(600)


def fail(context, argument):
    raise ValueError("a bad value")


def leave_a_child(context, argument):
    return subprocess.Popen(["sleep", "600"]).pid
