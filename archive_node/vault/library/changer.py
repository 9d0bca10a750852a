"""The changer: one robot, moved by `mtx`, one move at a time among all processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from archive_node.vault.base import VaultUnavailable, Waiting
from archive_node.vault.library import commands, inventory, locks
from archive_node.vault.library.inventory import Inventory
from archive_node.vault.library.notes import Notes
from archive_node.vault.library.options import LibraryOptions


class Changer:
    """Moves cartridges; whatever it cannot do is VaultUnavailable, with what mtx said of it."""

    def __init__(self, name: str, options: LibraryOptions, notes: Notes) -> None:
        self._name, self._options, self._notes = name, options, notes
        self._lock_file = notes.folder / "changer.lock"
        self._handle: int | None = None

    @contextmanager
    def held(self, waiting: Waiting) -> Iterator[None]:
        """Have the robot alone, waiting as `Vault.warm` does; not to be nested."""
        with locks.held(self._lock_file, waiting) as handle:
            self._handle = handle
            try:
                yield
            finally:
                self._handle = None

    def seen(self) -> Inventory:
        """Return the inventory, as it was last seen where the robot is at work."""
        last, handle = self._notes.inventory(), locks.taken(self._lock_file)
        if handle is None:
            return self.status() if last is None else inventory.parse(last)
        try:
            return self.status()
        finally:
            os.close(handle)

    def last_seen(self) -> Inventory:
        """Return the inventory as it was last seen, without a question to the changer."""
        last = self._notes.inventory()
        return self.status() if last is None else inventory.parse(last)

    def status(self) -> Inventory:
        """Ask the changer what is where, and keep the answer."""
        printed = self._mtx("tell what it holds", "status")
        found = inventory.parse(printed)
        if not found.bays or not found.slots:
            raise VaultUnavailable(f"{self._name}: mtx names no drive or no slot of the changer")
        self._notes.keep_inventory(printed)
        return found

    def survey(self) -> None:
        """Let the robot look into every slot: some changers see new cartridges only then."""
        self._mtx("take inventory", "inventory")

    def load(self, slot: int, drive: int) -> None:
        """Move a cartridge from a slot into drive `drive` (counted from 1)."""
        self._mtx(f"load slot {slot} into drive {drive}", "load", slot, drive - 1)

    def unload(self, slot: int, drive: int) -> None:
        """Move a cartridge from drive `drive` (counted from 1) into a slot."""
        self._mtx(f"unload drive {drive} into slot {slot}", "unload", slot, drive - 1)

    def transfer(self, source: int, target: int) -> None:
        """Move a cartridge from slot to slot."""
        self._mtx(f"move slot {source} to slot {target}", "transfer", source, target)

    def _mtx(self, task: str, *arguments: object) -> str:
        words = [*self._options.words("mtx"), *map(str, arguments)]
        keeping = [] if self._handle is None else [self._handle]
        try:
            ended = commands.run(words, self._options.move_s, keeping)
        except (commands.TookTooLong, commands.CannotRun) as error:
            raise VaultUnavailable(f"{self._name}: the changer cannot {task}: {error}") from None
        if ended.code:
            raise VaultUnavailable(
                f"{self._name}: the changer cannot {task}: {ended.said} "
                "(look at its panel; `mtx inventory` makes it look again)"
            )
        return ended.out
