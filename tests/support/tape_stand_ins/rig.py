"""Sets up a library of stand-ins, and does what an operator's hands and bad luck do to it."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

from archive_node import vault_setting
from archive_node.vault.library.vault import ChangerLibrary
from archive_node.vault_setting import VaultDefaults, VaultSpec
from tests.support.tape_stand_ins.bench import Bench, keep

HERE = Path(__file__).parent
PROGRAMS = {
    "mtx": "mtx.py -f {changer}",
    "mt": "mt.py -f {device}",
    "write": "dd.py of={target} bs={block}",
    "read": "dd.py if={target} bs={block}",
    "mount": "ltfs.py -o devname={device} -o eject {folder}",
    "umount": "umount.py {folder}",
    "sync": "setfattr.py -n user.ltfs.sync -v 1 {folder}",
}
RECORD_BYTES = 1024


class Rig:
    """A library of stand-ins in a folder; `mail` of its slots are for import and export."""

    def __init__(self, root: Path, mode: str, *, drives: int = 2, slots: int = 8, mail: int = 1):
        self.root, self.mode, self.drives = root, mode, drives
        self.state_dir = root / "archive" / "vaults"
        self.bench = Bench(str(root))
        if (root / "where").exists():
            return
        for name in ("tapes", "faults"):
            (root / name).mkdir(parents=True)
        drive = {"tape": None, "source": None, "online": False, "position": (0, 0)}
        where = {
            "drives": [dict(drive) for _ in range(drives)],
            "slots": [None] * slots,
            "mail": mail,
            "supply": None,
        }
        keep(str(root / "where"), where)

    def vault(self, *, new: bool = True, name: str = "vault-1", **options: str) -> ChangerLibrary:
        """Open the vault, as any process would."""
        make = ChangerLibrary.create_at if new else ChangerLibrary.at
        return make(self.spec(name, **options), self.defaults)

    @property
    def defaults(self) -> VaultDefaults:
        """What the archive's settings would give."""
        return VaultDefaults(self.drives, 50_000, self.state_dir)

    def spec(self, name: str = "vault-1", **options: str) -> VaultSpec:
        """Return the vault's setting."""
        return vault_setting.read(name, self.written(**options))

    def written(self, **options: str) -> str:
        """Return the vault's setting as it stands in PACS_VAULTS."""
        python = f"{sys.executable} -S {HERE}"
        told = {
            "mode": self.mode,
            "drives": "|".join(str(self.root / f"nst{at}") for at in range(self.drives)),
            "block": str(RECORD_BYTES),
            "load_s": "0.5",
            **{command: f"{python}/{program}" for command, program in PROGRAMS.items()},
            **options,
        }
        return f"library:{self.root / 'changer'}?{urlencode(told)}"

    def filled(self, volume_bytes: int) -> Rig:
        """Put one empty tape in, and have an operator who brings another one whenever asked."""
        if not any((self.root / "tapes").iterdir()):
            self.add("A00001", 1)
            self.supply(10 * volume_bytes)
        return self

    def supply(self, capacity: int) -> None:
        """Have an operator who puts an empty tape in whenever the robot takes inventory."""
        with self.bench.changed() as state:
            state["supply"] = capacity

    def add(
        self, barcode: str, slot: int, *, capacity: int = 1 << 20, protected: bool = False
    ) -> Path:
        """Put an empty tape into a slot; return its folder."""
        name = self.bench.add(barcode, capacity, protected)
        self.put_in(name, slot)
        return self.root / "tapes" / name

    def tape(self, barcode: str) -> Path:
        """Return the folder of the tape with a barcode."""
        for folder in (self.root / "tapes").iterdir():
            if self.bench.tape(folder.name).about["barcode"] == barcode:
                return folder
        raise KeyError(barcode)

    def alter(self, barcode: str, /, **fields: object) -> None:
        """Change a tape: its tab (protected), its sticker (barcode), its capacity."""
        tape = self.bench.tape(self.tape(barcode).name)
        keep(f"{tape.folder}/about", {**tape.about, **fields})

    def record(self, barcode: str, *contents: bytes) -> None:
        """Have a tape hold these tape files and nothing else, as another program left it."""
        tape = self.bench.tape(self.tape(barcode).name)
        for number, content in enumerate(contents):
            Path(tape.path(number)).write_bytes(content)
        tape.keep([{"record_bytes": RECORD_BYTES, "marked": True} for _ in contents])

    def take_out(self, barcode: str) -> str:
        """Take a tape out of its slot; return its name, to put it back by."""
        name = self.tape(barcode).name
        with self.bench.changed() as state:
            state["slots"][state["slots"].index(name)] = None
        return name

    def put_in(self, name: str, slot: int) -> None:
        """Put a tape that was taken out into a slot."""
        with self.bench.changed() as state:
            state["slots"][slot - 1] = name

    def fault(self, name: str, content: str = "") -> None:
        """Let something fail from now on; `<name>.<drive from 0>` for one drive."""
        (self.root / "faults" / name).write_text(content)

    def mend(self, name: str) -> None:
        """Let it work again."""
        (self.root / "faults" / name).unlink()

    @staticmethod
    def end(root: Path) -> None:
        """End the stand-ins of ltfs that still serve a mounted tape, each by its id."""
        serving = root / "serving"
        for file in serving.iterdir() if serving.exists() else ():
            with suppress(OSError):
                if str(root) in Path("/proc", file.name, "cmdline").read_text():
                    os.kill(int(file.name), signal.SIGKILL)

    def log(self) -> list[str]:
        """Return what was run so far."""
        return (self.root / "log").read_text().splitlines()
