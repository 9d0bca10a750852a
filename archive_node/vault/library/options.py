"""What PACS_VAULTS may say of a real library; docs/tape-library.md has the table."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from archive_node.vault_setting import BadSpec, VaultDefaults, VaultSpec

MODES = ("tar", "ltfs")
_COMMANDS = {
    "mtx": "mtx -f {changer}",
    "mt": "mt -f {device}",
    "read": "dd if={target} bs={block}",
    "mount": "ltfs -o devname={device} -o eject {folder}",
    "umount": "umount {folder}",
    "sync": "setfattr -n user.ltfs.sync -v 1 {folder}",
}
_WRITE = {
    "tar": "dd of={target} bs={block} iflag=fullblock",
    "ltfs": "dd of={target} bs={block} iflag=fullblock conv=fsync",
}
_TIMES_S = {"move_s": 600, "wind_s": 900, "load_s": 300, "mount_s": 1800, "stuck_s": 600}
_MEMBER_LEAST_BYTES = 1000
_OTHERS = ("drives", "mode", "volume", "block", "mounts", "id", "changer", "write")
NAMES = {*_OTHERS, *_COMMANDS, *_TIMES_S}


@dataclass(frozen=True)
class LibraryOptions:
    """A library as the settings describe it; sizes in bytes, times in seconds.

    `move_s` is the longest that the changer may take for one move, `wind_s` the longest that a
    drive may wind, `load_s` until it sees a tape that was put in, `mount_s` for mounting and
    unmounting LTFS; `stuck_s` is how long a transfer may stand still.
    """

    changer: str
    drives: tuple[str, ...]
    mode: str
    volume_bytes: int
    block_bytes: int
    commands: dict[str, str]
    mounts_dir: Path
    known_id: str
    move_s: float
    wind_s: float
    load_s: float
    mount_s: float
    stuck_s: float

    def words(self, command: str, **values: object) -> list[str]:
        """Return a command's words, `{changer}`, `{block}` and the given names filled in."""
        filled = {"changer": self.changer, "block": self.block_bytes, **values}
        words = shlex.split(self.commands[command])
        for name, value in filled.items():
            words = [word.replace("{" + name + "}", str(value)) for word in words]
        return words


def read(spec: VaultSpec, defaults: VaultDefaults) -> LibraryOptions:
    """Return the options of a `library:` vault; raises BadSpec."""
    spec.only(*NAMES)
    mode = spec.text("mode", "tar")
    if mode not in MODES:
        raise BadSpec(f"mode of {spec.name} is one of {', '.join(MODES)}")
    drives = tuple(part for part in spec.text("drives").split("|") if part)
    if not drives or len(set(drives)) != len(drives):
        raise BadSpec(f"drives of {spec.name} are its devices, like /dev/nst0|/dev/nst1")
    home = defaults.state_dir / spec.name
    return LibraryOptions(
        changer=spec.text("changer", spec.place),
        drives=drives,
        mode=mode,
        volume_bytes=spec.size("volume", defaults.volume_bytes, low=_MEMBER_LEAST_BYTES),
        block_bytes=spec.size("block", 256 << 10, low=512),
        commands=_commands(spec, mode),
        mounts_dir=Path(spec.text("mounts", str(home / "mounts"))),
        known_id=spec.text("id"),
        **{name: spec.number(name, value, low=0.05) for name, value in _TIMES_S.items()},
    )


def _commands(spec: VaultSpec, mode: str) -> dict[str, str]:
    found = {}
    for name, default in {**_COMMANDS, "write": _WRITE[mode]}.items():
        written = spec.text(name, default)
        try:
            words = shlex.split(written)
        except ValueError as error:
            raise BadSpec(f"{name} of {spec.name}: {error}") from None
        if not words:
            raise BadSpec(f"{name} of {spec.name} is a command")
        found[name] = written
    return found
