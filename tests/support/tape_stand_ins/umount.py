"""Stands in for umount(8) of a tape that the stand-in of ltfs mounted: `umount FOLDER`."""

from __future__ import annotations

import os
import sys

from bench import Bench


def main() -> None:
    folder = sys.argv[1]
    if not os.path.islink(folder):
        sys.exit(f"umount: {folder}: not mounted.")
    bench = Bench.of_mount(folder)
    bench.log()
    bench.hang_if("umount-stuck")
    os.unlink(folder)
    os.rename(f"{folder}.beneath", folder)


if __name__ == "__main__":
    main()
