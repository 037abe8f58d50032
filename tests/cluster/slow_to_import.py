"""Imported by a rank that is to take too long to start."""

import time

time.sleep(60)
