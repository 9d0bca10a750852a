"""Stands in for mt(1) of mt-st, on a device that does not rewind: `mt -f DEVICE ACT [COUNT]`."""

from __future__ import annotations

import sys

from bench import Bench, Tape

IO_ERROR = "Input/output error"


def fail(device: str, told: str) -> None:
    print(f"{device}: {told}", file=sys.stderr)
    sys.exit(2)


def status(bench: Bench, drive: int, tape: Tape | None) -> None:
    file, block = bench.position(drive) if tape else (-1, -1)
    bits = ["DR_OPEN"] if tape is None else ["ONLINE"]
    if tape is not None:
        bits = (["BOT"] if (file, block) == (0, 0) else ["EOF"] if block == 0 else []) + bits
        bits += ["WR_PROT"] if tape.about["protected"] else []
    print("SCSI 2 tape drive:")
    print(f"File number={file}, block number={block}, partition=0.")
    print("Tape block size 0 bytes. Density code 0x5a (LTO-6).")
    print("Soft error count since last status=0")
    print("General status bits on (41010000):")
    print(" " + " ".join([*bits, "IM_REP_EN"]))


def moved(tape: Tape, act: str, count: int, file: int, block: int) -> tuple[int, int] | None:
    """Return the new position, None where the tape does not reach so far."""
    if act == "rewind":
        return 0, 0
    if act == "eod":
        return tape.marked, -1
    if act == "asf":
        return moved(tape, "fsf", count, 0, 0)
    if act == "fsf":
        return (file + count, 0) if file + count <= tape.marked else None
    if act == "bsf":
        return (file - count, tape.records(file - count)) if file >= count else None
    if act == "bsr":
        return (file, block - count) if block >= count else None
    raise SystemExit(f"mt: unknown command {act}")


def tell(tape: Tape, file: int, block: int) -> None:
    before = sum(tape.records(number) + 1 for number in range(file))
    if block < 0:
        block = tape.records(file) if file < len(tape.files) else 0
    print(f"At block {before + block}.")


def act_on(bench: Bench, drive: int, device: str, act: str, count: int) -> None:
    tape = bench.loaded(drive)
    if act == "status":
        status(bench, drive, tape)
        return
    if tape is None:
        fail(device, "No medium found")
        return
    if bench.fault("mt-eio", drive) is not None:
        fail(device, IO_ERROR)
    if act == "setblk":
        return
    if act == "tell":
        tell(tape, *bench.position(drive))
    elif act == "offline":
        with bench.changed() as state:
            state["drives"][drive].update(online=False, position=(0, 0))
    else:
        found = moved(tape, act, count, *bench.position(drive))
        bench.stand_at(drive, *(found or (tape.marked, -1)))
        if found is None:
            fail(device, IO_ERROR)


def main() -> None:
    device, act = sys.argv[2], sys.argv[3]
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    bench, drive = Bench.of_device(device)
    bench.log()
    bench.hang_if("mt-stuck", drive)
    try:
        with bench.opened(drive):
            act_on(bench, drive, device, act, count)
    except OSError as error:
        fail(device, error.strerror)


if __name__ == "__main__":
    main()
