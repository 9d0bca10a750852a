"""Stands in for setfattr(1), with which LTFS is told to write its index: `setfattr ... FOLDER`."""

from __future__ import annotations

import sys

from bench import Bench

if __name__ == "__main__":
    Bench.of_mount(sys.argv[-1]).log()
