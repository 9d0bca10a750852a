"""A tape with a file system (mode=ltfs): mounted, it is a folder with a member in each file.

LABEL, INDEX.json     as on the volumes of a virtual library (docs/formats/archive-volume.md)
.partial/member       what is being written; never a member
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from archive_node.vault.library import commands, faults
from archive_node.vault.library.medium import Contents, Medium
from archive_node.vault.library.notes import Entry

INDEX = "argens-volume-index-1"
NOT_MOUNTED = "NOT-MOUNTED"  # lies in the folder beneath: who sees it sees no tape
_POLL_S = 0.05


class LtfsTape(Medium):
    """A tape that `ltfs` mounts; it stays mounted until the changer needs the drive."""

    @property
    def folder(self) -> Path:
        """Where the tape of this drive is mounted."""
        return self._options.mounts_dir / str(self._drive.number)

    def make_ready(self) -> None:
        """Mount the tape, unless it is."""
        with _translated():
            self._prepare_folder()
            if self._is_dead():
                self._run("umount", self._options.mount_s, folder=self.folder)
        if self._is_mounted():
            return
        self._run("mount", self._options.mount_s, folder=self.folder)
        if not self._is_mounted():
            raise faults.Unreadable(f"{self.folder} holds no file system after it was mounted")

    def read_label(self) -> dict[str, Any] | None:
        """Return what the file LABEL says."""
        with _translated():
            if not any(name != ".partial" for name in os.listdir(self.folder)):
                return None
            try:
                found = json.loads((self.folder / "LABEL").read_text(encoding="utf-8"))
            except (FileNotFoundError, ValueError):
                found = None
        if not isinstance(found, dict):
            raise faults.NotOurs("it holds something, and no label of an archive")
        return found

    def write_label(self, label: dict[str, Any]) -> None:
        """Write the file LABEL."""
        self._write_small("LABEL", label)

    def contents(self) -> Contents:
        """Return the members: in the order of the index, what it lacks by its time."""
        with _translated():
            found = {
                name: (path.stat().st_mtime_ns, path.stat().st_size) for name, path in self._files()
            }
            closed = (self.folder / "INDEX.json").exists()
        order = sorted(found, key=lambda name: (found[name][0], name))
        return Contents(
            [Entry(name, number + 1, found[name][1]) for number, name in enumerate(order)], closed
        )

    def gone_on(self, known: Sequence[Entry]) -> Contents:
        """Compare the folder with the known members."""
        on_tape = self.contents()
        sizes = {entry.name: entry.size_bytes for entry in on_tape.entries}
        for entry in known:
            if sizes.get(entry.name) != entry.size_bytes:
                raise faults.Unreadable(f"{entry.name} is not there as it was written")
        names = {entry.name for entry in known}
        more = [entry for entry in on_tape.entries if entry.name not in names]
        return Contents(
            [Entry(one.name, len(known) + at + 1, one.size_bytes) for at, one in enumerate(more)],
            on_tape.closed,
        )

    def append(self, member: str, size_bytes: int, known: int, source: IO[bytes]) -> Entry:
        """Write a file, give it its name, and have LTFS write its index to the tape."""
        partial, target = self.folder / ".partial" / "member", self.folder / member
        try:
            with _translated():
                partial.parent.mkdir(exist_ok=True)
                partial.unlink(missing_ok=True)
            self._send(partial, lambda feed: self._pump(source, feed))
            with _translated():
                if (there := partial.stat().st_size) != size_bytes:
                    raise faults.Unreadable(f"{there} of {size_bytes} bytes are there")
                target.parent.mkdir(parents=True, exist_ok=True)
                partial.rename(target)
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
        self.settle()
        return Entry(member, known + 1, size_bytes)

    def fetch(self, entry: Entry) -> IO[bytes]:
        """Read the file whole, as a tape is best read, and from the tape: not from the cache."""
        with _translated(), (self.folder / entry.name).open("rb") as cached:
            os.posix_fadvise(cached.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        file = self._receive(self.folder / entry.name)
        there = file.seek(0, os.SEEK_END)
        if there != entry.size_bytes:
            file.close()
            raise faults.Unreadable(f"{entry.name} has {there} bytes, not {entry.size_bytes}")
        file.seek(0)
        return file

    def close(self, index: dict[str, Any]) -> None:
        """Write the file INDEX.json; where the tape takes nothing more, the notes alone know."""
        with suppress(faults.EndOfTape, faults.Protected):
            self._write_small("INDEX.json", {"format": INDEX, **index})

    def settle(self) -> None:
        """Have LTFS write its own index to the tape: before that, a power cut loses names."""
        self._run("sync", self._options.mount_s, folder=self.folder)

    def let_go(self) -> None:
        """Unmount, and wait for the end of `ltfs` itself: umount is done long before the tape is.

        A drive that is touched before that may spoil the tape.
        """
        if self.folder.exists() and self._is_mounted():
            self._run("umount", self._options.mount_s, folder=self.folder)
        deadline = time.monotonic() + self._options.mount_s
        while left := self._daemons():
            if time.monotonic() > deadline:
                for pid in left:
                    commands.end_by_id(pid)
                raise faults.Stuck(f"ltfs did not end in {self._options.mount_s:g} s: killed")
            time.sleep(_POLL_S)

    def _prepare_folder(self) -> None:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            self.folder.mkdir()
            (self.folder / NOT_MOUNTED).touch()
        if os.path.ismount(self.folder) or self.folder.is_symlink() or os.listdir(self.folder):
            return
        (self.folder / NOT_MOUNTED).touch()  # a crash came between the two

    def _is_dead(self) -> bool:
        """Return whether something is mounted whose `ltfs` is gone."""
        try:
            os.listdir(self.folder)
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                raise
            return True
        return False

    def _is_mounted(self) -> bool:
        with _translated():
            return NOT_MOUNTED not in os.listdir(self.folder)

    def _daemons(self) -> list[int]:
        """Return the processes that serve this folder: `ltfs` names it among its arguments."""
        ours = os.fsencode(self.folder)
        found = []
        for entry in os.listdir("/proc"):
            with suppress(OSError):
                if entry.isdigit() and int(entry) != os.getpid():
                    words = Path("/proc", entry, "cmdline").read_bytes().split(b"\0")
                    if ours in words:
                        found.append(int(entry))
        return found

    def _files(self) -> Iterator[tuple[str, Path]]:
        for path in sorted(self.folder.rglob("*.tar")):
            name = str(path.relative_to(self.folder))
            if not name.startswith("."):
                yield name, path

    def _write_small(self, name: str, content: dict[str, Any]) -> None:
        own = self.folder / f".{name}"
        with _translated():
            with own.open("w", encoding="utf-8") as file:
                json.dump(content, file)
                file.flush()
                os.fsync(file.fileno())
            own.rename(self.folder / name)
        self.settle()


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the file system's errors into faults."""
    try:
        yield
    except OSError as error:
        raise faults.of(error) from None
