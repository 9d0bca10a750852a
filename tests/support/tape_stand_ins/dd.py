"""Stands in for dd(1) on a tape device or on a file of a mounted tape: `dd of=X | if=X bs=N`."""

from __future__ import annotations

import os
import sys
import time

from bench import FOREVER_S, Bench, Tape

NO_SPACE, IO_ERROR = "No space left on device", "Input/output error"


def fail(told: str) -> None:
    print(f"dd: {told}", file=sys.stderr)
    print("0+0 records in\n0+0 records out", file=sys.stderr)
    print("0 bytes copied, 0.1 s, 0.0 kB/s", file=sys.stderr)
    sys.exit(1)


class Faults:
    """Faults that strike after so many bytes."""

    def __init__(self, bench: Bench, drive: int | None, verb: str) -> None:
        self._stuck = bench.fault(f"{verb}-stuck", drive)
        self._eio = bench.fault(f"{verb}-eio", drive)

    def strike(self, so_far: int, target: str, verb: str) -> None:
        if self._stuck is not None and so_far >= int(self._stuck or 0):
            time.sleep(FOREVER_S)
        if self._eio is not None and so_far >= int(self._eio or 0):
            fail(f"error {verb} '{target}': {IO_ERROR}")


def records(record_bytes: int):
    while record := sys.stdin.buffer.read(record_bytes):
        yield record


def write_records(path: str, record_bytes: int, target: str, room: int, faults: Faults) -> None:
    """Write what comes, record by record, as far as there is room."""
    so_far = 0
    with open(path, "wb", buffering=0) as file:
        faults.strike(so_far, target, "writing")
        for record in records(record_bytes):
            if so_far + len(record) > room:
                fail(f"error writing '{target}': {NO_SPACE}")
            file.write(record)
            so_far += len(record)
            faults.strike(so_far, target, "writing")


def write_tape(device: str, record_bytes: int) -> None:
    bench, drive = Bench.of_device(device)
    try:
        with bench.opened(drive):
            tape = bench.loaded(drive)
            if tape is None:
                fail(f"failed to open '{device}': No medium found")
                return
            if tape.about["protected"]:
                fail(f"failed to open '{device}': Read-only file system")
            record_at(bench, drive, tape, device, record_bytes)
    except OSError as error:
        fail(f"failed to open '{device}': {error.strerror}")


def record_at(bench: Bench, drive: int, tape: Tape, device: str, record_bytes: int) -> None:
    """Record a tape file where the drive stands; what lay behind is gone."""
    file, block = bench.position(drive)
    if block < 0:
        block = tape.records(file) if file < len(tape.files) else 0
    if block:
        fail(f"error writing '{device}': this stand-in writes only behind a filemark")
    kept = tape.files[:file]
    for number in range(file, len(tape.files)):
        os.unlink(tape.path(number))
    tape.keep(kept)
    room = tape.about["capacity"] - tape.used_bytes
    open(tape.path(file), "wb").close()
    tape.keep([*kept, {"record_bytes": record_bytes, "marked": False}])
    bench.stand_at(drive, file, -1)
    try:
        write_records(tape.path(file), record_bytes, device, room, Faults(bench, drive, "write"))
    finally:  # the driver writes a filemark whenever a device is closed that was written to
        tape.keep([*kept, {"record_bytes": record_bytes, "marked": True}])
        bench.stand_at(drive, file + 1, 0)


def read_tape(device: str) -> None:
    bench, drive = Bench.of_device(device)
    try:
        with bench.opened(drive):
            tape = bench.loaded(drive)
            if tape is None:
                fail(f"failed to open '{device}': No medium found")
                return
            file, block = bench.position(drive)
            if file >= len(tape.files):
                if file == 0:  # blank check at the beginning of the tape
                    fail(f"error reading '{device}': {IO_ERROR}")
                return
            bench.stand_at(drive, file + 1, 0)
            pour(bench, drive, tape.path(file), block * tape.files[file]["record_bytes"], device)
    except OSError as error:
        fail(f"failed to open '{device}': {error.strerror}")


def pour(bench: Bench, drive: int | None, path: str, offset: int, source: str) -> None:
    faults, so_far = Faults(bench, drive, "read"), 0
    with open(path, "rb") as file:
        file.seek(offset)
        faults.strike(so_far, source, "reading")
        while chunk := file.read(512):
            sys.stdout.buffer.write(chunk)
            so_far += len(chunk)
            faults.strike(so_far, source, "reading")
    sys.stdout.buffer.flush()


def of_file(path: str) -> tuple[Bench, Tape]:
    """Return the library and the tape that a file of a mounted tape lies on."""
    root, _, below = os.path.realpath(os.path.dirname(path)).rpartition("/tapes/")
    bench = Bench(root)
    return bench, bench.tape(below.partition("/")[0])


def main() -> None:
    operands = dict(word.partition("=")[::2] for word in sys.argv[1:])
    record_bytes = int(operands["bs"])
    target = operands.get("of") or operands["if"]
    is_device = os.path.basename(target).startswith("nst")
    if is_device:
        Bench.of_device(target)[0].log()
        write_tape(target, record_bytes) if "of" in operands else read_tape(target)
        return
    bench, tape = of_file(target)
    bench.log()
    if "if" in operands:
        pour(bench, None, target, 0, target)
        return
    if tape.about["protected"]:
        fail(f"failed to open '{target}': Read-only file system")
    room = tape.about["capacity"] - tape.used_bytes
    write_records(target, record_bytes, target, room, Faults(bench, None, "write"))
    with open(target, "rb") as file:
        os.fsync(file.fileno())


if __name__ == "__main__":
    main()
