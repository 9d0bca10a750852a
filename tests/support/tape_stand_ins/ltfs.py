"""Stands in for ltfs(1): `ltfs -o devname=DEVICE [-o eject] FOLDER`.

A link takes the folder's place, as a mount would hide it. The process that serves it goes on
beyond its umount for a moment, as the real one does while it writes its index.
"""

from __future__ import annotations

import os
import sys
import time

from bench import Bench


def serve(bench: Bench, drive: int, folder: str) -> None:
    """Wait for the unmounting, write the index, eject, end."""
    os.setsid()
    os.makedirs(f"{bench.root}/serving", exist_ok=True)
    open(f"{bench.root}/serving/{os.getpid()}", "w").close()
    null = os.open(os.devnull, os.O_RDWR)
    for handle in range(3):
        os.dup2(null, handle)
    while os.path.islink(folder):
        time.sleep(0.01)
    time.sleep(0.05)
    bench.hang_if("ltfs-stays", drive)
    with bench.changed() as state:
        state["drives"][drive].update(online=False)


def main() -> None:
    options = [after for word, after in zip(sys.argv, sys.argv[1:], strict=False) if word == "-o"]
    device = next(word for word in options if word.startswith("devname=")).partition("=")[2]
    folder = sys.argv[-1]
    bench, drive = Bench.of_device(device)
    bench.log()
    bench.hang_if("ltfs-stuck", drive)
    tape = bench.loaded(drive)
    if bench.fault("busy", drive) is not None:
        sys.exit(f"LTFS30210E Cannot open device {device}: Device or resource busy")
    if tape is None:
        print("LTFS30205I TEST_UNIT_READY (0x00) returns -20209.", file=sys.stderr)
        sys.exit("LTFS30263I TEST_UNIT_READY returns Not Ready, Medium not Present (-20209)")
    if bench.fault("not-formatted", drive) is not None:
        sys.exit("LTFS11175E Cannot read ANSI label: expected 80 bytes, but received 0.")
    os.rename(folder, f"{folder}.beneath")
    os.symlink(f"{tape.folder}/ltfs", folder)
    if os.fork() == 0:
        serve(bench, drive, folder)


if __name__ == "__main__":
    main()
