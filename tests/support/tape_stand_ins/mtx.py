"""Stands in for mtx(1): `mtx -f CHANGER status | inventory | load | unload | transfer`."""

from __future__ import annotations

import os
import sys

from bench import Bench


def fail(told: str) -> None:
    print(told, file=sys.stderr)
    sys.exit(1)


def tag(bench: Bench, tape: str, equals: str) -> str:
    barcode = bench.tape(tape).about["barcode"]
    return f":VolumeTag{equals}{barcode:<32}" if barcode else ""


def status(bench: Bench, state: dict) -> None:
    drives, slots, mail = state["drives"], state["slots"], state["mail"]
    print(
        f"  Storage Changer {sys.argv[2]}:{len(drives)} Drives, {len(slots)} Slots "
        f"( {mail} Import/Export )"
    )
    for number, drive in enumerate(drives):
        if drive["tape"] is None:
            print(f"Data Transfer Element {number}:Empty")
            continue
        source = drive["source"]
        loaded = f"Storage Element {source}" if source else "Unknown Storage Element"
        print(
            f"Data Transfer Element {number}:Full ({loaded} Loaded)"
            + tag(bench, drive["tape"], " = ")
        )
    for number, tape in enumerate(slots, 1):
        kind = " IMPORT/EXPORT" if number > len(slots) - mail else ""
        full = "Full " + tag(bench, tape, "=") if tape else "Empty"
        print(f"      Storage Element {number}{kind}:{full}")


def inventory(bench: Bench, state: dict) -> None:
    """Where the library has a supply, an operator put the next empty tape in meanwhile."""
    if state["supply"]:
        number = len(os.listdir(f"{bench.root}/tapes")) + 1
        name = bench.add(f"A{number:05}", state["supply"])
        state["slots"][state["slots"].index(None)] = name


def load(bench: Bench, state: dict, slot: int, number: int) -> None:
    drive, tape = state["drives"][number], state["slots"][slot - 1]
    if drive["tape"] is not None:
        fail(f"Drive {number} Full (Storage Element {drive['source']} loaded)")
    print(f"Loading media from Storage Element {slot} into drive {number}...", end="", flush=True)
    if tape is None or bench.fault("source-empty") is not None:
        fail(f"source Element Address {4095 + slot} is Empty")
    state["slots"][slot - 1] = None
    drive.update(tape=tape, source=slot, online=True, position=(0, 0))
    print("done")


def unload(bench: Bench, state: dict, slot: int, number: int) -> None:
    drive = state["drives"][number]
    if drive["tape"] is None:
        fail(f"Data Transfer Element {number} is Empty")
    if state["slots"][slot - 1] is not None:
        fail(f"Storage Element {slot} is Already Full")
    print(f"Unloading drive {number} into Storage Element {slot}...", end="", flush=True)
    if bench.fault("destination-full") is not None:
        fail(f"destination Element Address {4095 + slot} is Already Full")
    if drive["online"] and bench.fault("no-medium", number) is None:
        fail("Drive needs offline before move")
    state["slots"][slot - 1] = drive["tape"]
    drive.update(tape=None, source=None, online=False, position=(0, 0))
    print("done")


def transfer(bench: Bench, state: dict, source: int, target: int) -> None:
    slots = state["slots"]
    if slots[source - 1] is None:
        fail(f"source Element Address {4095 + source} is Empty")
    if slots[target - 1] is not None:
        fail(f"destination Element Address {4095 + target} is Already Full")
    slots[target - 1], slots[source - 1] = slots[source - 1], None


def main() -> None:
    bench = Bench(os.path.dirname(sys.argv[2]))
    bench.log()
    bench.hang_if("mtx-stuck")
    command, arguments = sys.argv[3], [int(word) for word in sys.argv[4:]]
    acts = {
        "status": status,
        "inventory": inventory,
        "load": load,
        "unload": unload,
        "transfer": transfer,
    }
    with bench.changed() as state:
        acts[command](bench, state, *arguments)


if __name__ == "__main__":
    main()
