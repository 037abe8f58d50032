"""``python -m sparkml_dist.console``: the command where its folder is not on PATH."""

from __future__ import annotations

import sys

from sparkml_dist.console.main import main

if __name__ == "__main__":
    sys.exit(main())
