"""Stands in for umount(8) of a tape that the stand-in of ltfs mounted: `umount FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from bench import Bench


def main() -> None:
    folder = Path(sys.argv[1])
    if not folder.is_symlink():
        sys.exit(f"umount: {folder}: not mounted.")
    bench = Bench(folder.readlink().parents[2])
    bench.log()
    bench.hang_if("umount-stuck")
    folder.unlink()
    folder.with_name(f"{folder.name}.beneath").rename(folder)


if __name__ == "__main__":
    main()
