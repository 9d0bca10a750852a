"""A tape of raw records (mode=tar): file 0 is its label, each member is one tape file.

A member's tape file is the member, zeros up to a whole record, and one last record that names it:
only a tape file with that record is a member. `tar` reads the file and stops before them.
"""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any

from archive_node.vault.library import commands, faults
from archive_node.vault.library.medium import Contents, Medium
from archive_node.vault.library.notes import Entry

LABEL, MEMBER, INDEX = "argens-tape-label-1", "argens-tape-member-1", "argens-tape-index-1"
_POSITION = re.compile(  # of mt-st, and of the mt that comes with cpio
    r"file number *= *(-?[0-9]+),?\s+block number *= *(-?[0-9]+)", re.IGNORECASE
)
_TOLD = re.compile(r"[Aa]t block ([0-9]+)")
_LOOKS = 20


@dataclass(frozen=True)
class Position:
    """Where a tape stands, and the words that `mt status` prints, its bits among them."""

    file: int
    block: int
    bits: frozenset[str]


class RawTape(Medium):
    """A tape on a device that does not rewind by itself."""

    def make_ready(self) -> None:
        """Wait until the drive is on line with the tape."""
        deadline = time.monotonic() + self._options.load_s
        while True:
            try:
                if "ONLINE" in self._status().bits:
                    return
                problem: faults.Fault = faults.NoMedium("mt: the drive sees no tape")
            except (faults.NoMedium, faults.Busy) as fault:
                problem = fault
            if time.monotonic() > deadline:
                raise problem
            time.sleep(self._options.load_s / _LOOKS)

    def read_label(self) -> dict[str, Any] | None:
        """Return the record of file 0."""
        self._mt("setblk", 0)  # records as they are written: a fixed size would cut them up
        self._mt("rewind")
        try:
            with self._receive(self._drive.device, self._options.block_bytes) as file:
                found = _document(file.read(self._options.block_bytes))
        except faults.Unreadable:
            if not self._is_blank():  # the first read of an empty tape is an error too
                raise
            return None
        if found is None or found.get("format") != LABEL:
            raise faults.NotOurs("it holds something, and no label of an archive")
        return found

    def write_label(self, label: dict[str, Any]) -> None:
        """Write file 0."""
        if "WR_PROT" in self._status().bits:
            raise faults.Protected("the tab of the cartridge is set: it is write protected")
        self._mt("rewind")
        self._write(lambda feed: feed.write(self._record({"format": LABEL, **label})))

    def contents(self) -> Contents:
        """Return the members, from the index where there is one, else from their last records."""
        files = self._end()
        if files < 2:
            return Contents([], False)
        last = self._trailer(files - 1)
        if last is not None and last["format"] == INDEX:
            return Contents(self._index(files - 1, last["size_bytes"]), True)
        return self._walk(1, files)

    def gone_on(self, known: Sequence[Entry]) -> Contents:
        """Compare the number of tape files with the known members."""
        files, expected = self._end(), 1 + len(known)
        if files < expected:
            raise faults.Unreadable(f"it holds {files} tape files, {expected} were written")
        if files == expected:
            return Contents([], False)
        found = self._walk(expected, files)
        self._go_to(expected + len(found.entries))
        return found

    def append(self, member: str, size_bytes: int, known: int, source: IO[bytes]) -> Entry:
        """Write a tape file where the tape stands: `gone_on` brought it there."""
        about = {
            "format": MEMBER,
            "member": member,
            "size_bytes": size_bytes,
            "file": known + 1,
            "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        position = self._status()
        if "WR_PROT" in position.bits:
            raise faults.Protected("the tab of the cartridge is set: it is write protected")
        if position.file != known + 1:
            raise faults.Unreadable(f"it stands at file {position.file}, not {known + 1}")

        def feed_all(feed: commands.Feed) -> None:
            self._pump(source, feed)
            feed.write(bytes(-size_bytes % self._options.block_bytes) + self._record(about))

        self._write(feed_all)
        return Entry(member, known + 1, size_bytes)

    def fetch(self, entry: Entry) -> IO[bytes]:
        """Read one tape file into a file of its own."""
        self._go_to(entry.file)
        file = self._receive(self._drive.device)
        block = self._options.block_bytes
        expected = entry.size_bytes + -entry.size_bytes % block + block
        there = file.seek(0, io.SEEK_END)
        file.seek(max(0, there - block))
        last = _document(file.read()) or {}
        if there != expected or last.get("member") != entry.name:
            file.close()
            raise faults.Unreadable(
                f"tape file {entry.file} has {there} bytes and is not {entry.name}"
            )
        file.truncate(entry.size_bytes)
        file.seek(0)
        return file

    def close(self, index: dict[str, Any]) -> None:
        """Write the index as the last tape file, over what may be left unfinished there."""
        number = 1 + len(index["members"])
        content = json.dumps({"format": INDEX, **index}).encode()
        about = {"format": INDEX, "size_bytes": len(content), "file": number}
        self._go_to(number)
        padding = bytes(-len(content) % self._options.block_bytes)
        self._write(lambda feed: feed.write(content + padding + self._record(about)))

    def settle(self) -> None:
        """Do nothing: the filemark behind a member made the drive write all before it."""

    def let_go(self) -> None:
        """Rewind and take the drive off line; it is already where a move failed before."""
        with suppress(faults.NoMedium):
            self._mt("offline")

    def _write(self, produce: Callable[[commands.Feed], None]) -> None:
        self._send(self._drive.device, produce)

    def _mt(self, *arguments: object) -> str:
        return self._run("mt", self._options.wind_s, *arguments)

    def _status(self) -> Position:
        printed = self._mt("status")
        found = _POSITION.search(printed)
        bits = frozenset(printed.split())
        return Position(int(found[1]), int(found[2]), bits) if found else Position(-1, -1, bits)

    def _is_blank(self) -> bool:
        """Return whether recorded data ends where the tape begins."""
        self._mt("rewind")
        self._mt("eod")
        told = _TOLD.search(self._mt("tell"))
        return told is not None and int(told[1]) == 0

    def _go_to(self, file: int) -> None:
        position = self._status()
        if position.file == file and position.block == 0:
            return
        if 0 <= position.file < file:
            self._mt("fsf", file - position.file)
        else:
            self._mt("asf", file)
        if (reached := self._status().file) != file:
            raise faults.Unreadable(f"the drive went to tape file {reached}, not {file}")

    def _end(self) -> int:
        """Return how many tape files there are, standing behind the last one's filemark.

        Records without a filemark behind them (a drive lost its power) are no tape file.
        """
        self._mt("eod")
        files = self._status().file
        if files < 0:
            raise faults.NoAccess("the drive does not count tape files: is fast-eom on (stinit)?")
        if files:
            self._mt("bsf", 1)
            self._mt("fsf", 1)
        return files

    def _walk(self, first: int, files: int) -> Contents:
        """Return the members in tape files `first` to `files - 1`; the last may be unfinished."""
        entries: list[Entry] = []
        for number in range(first, files):
            about = self._trailer(number)
            if about is not None and about["format"] == INDEX:
                return Contents(entries, True)
            if about is None or about.get("file") != number:
                if number != files - 1:
                    raise faults.Unreadable(f"tape file {number} is no member, and others follow")
                break
            entries.append(Entry(about["member"], number, about["size_bytes"]))
        return Contents(entries, False)

    def _trailer(self, number: int) -> dict[str, Any] | None:
        """Return the last record of a tape file, None where it is none of ours."""
        self._go_to(number)
        for step in ("fsf", "bsf", "bsr"):
            self._mt(step, 1)
        with self._receive(self._drive.device) as file:
            found = _document(file.read())
        return found if found and found.get("format") in {MEMBER, INDEX} else None

    def _index(self, number: int, size_bytes: int) -> list[Entry]:
        self._go_to(number)
        with self._receive(self._drive.device) as file:
            found = _document(file.read(size_bytes)) or {}
        try:
            return [
                Entry(each["name"], each["file"], each["size_bytes"]) for each in found["members"]
            ]
        except (KeyError, TypeError):
            raise faults.Unreadable("its index cannot be read") from None

    def _record(self, about: dict[str, Any]) -> bytes:
        content = json.dumps(about).encode()
        if len(content) >= self._options.block_bytes:
            raise faults.Unreadable(f"a record of {self._options.block_bytes} bytes is too short")
        return content.ljust(self._options.block_bytes - 1) + b"\n"


def _document(raw: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(raw)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
