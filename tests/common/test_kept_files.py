"""Small files that are made once: whole or not there at all, whoever is first."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pacs_common import kept_files
from tests.support.services import require


def test_a_file_is_made_with_its_folder_its_mode_and_its_content(tmp_path):
    target = tmp_path / "new" / "key"
    kept_files.write_once(target, b"one", 0o600)
    assert target.read_bytes() == b"one"
    assert target.stat().st_mode & 0o777 == 0o600
    assert os.listdir(target.parent) == ["key"]


def test_what_is_there_is_never_written_over(tmp_path):
    target = tmp_path / "key"
    kept_files.write_once(target, b"first", 0o600)
    kept_files.write_once(target, b"second", 0o600)
    assert target.read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["key"]


def test_of_many_that_are_first_at_once_one_is(tmp_path):
    target, together = tmp_path / "key", threading.Barrier(8)
    contents = [str(number).encode() * 1000 for number in range(8)]

    def make(content: bytes) -> None:
        together.wait()
        kept_files.write_once(target, content, 0o600)

    threads = [threading.Thread(target=make, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() in contents
    assert os.listdir(tmp_path) == ["key"]


def test_a_replaced_file_is_never_absent_or_half(tmp_path):
    target, contents = tmp_path / "key", [b"a" * 5000, b"b" * 5000]
    kept_files.replace(target, contents[0], 0o644)
    seen: set[bytes] = set()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.add(target.read_bytes())

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(40):
        kept_files.replace(target, contents[number % 2], 0o644)
    done.set()
    reader.join()
    assert seen <= set(contents) and seen
    assert os.listdir(tmp_path) == ["key"]


def test_what_cannot_be_made_leaves_nothing(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        kept_files.replace(tmp_path / "taken", b"x", 0o600)
    assert os.listdir(tmp_path) == ["taken"]


def test_the_content_is_synced_before_the_file_gets_its_name(tmp_path):
    trace = tmp_path / "trace"
    code = (
        "import pathlib, sys\nfrom pacs_common import kept_files\n"
        "kept_files.write_once(pathlib.Path(sys.argv[1]), b'secret', 0o600)"
    )
    command = [require("strace"), "-f", "-y", "-o", str(trace), "-e", "trace=fsync,link,linkat"]
    done = subprocess.run(
        [*command, sys.executable, "-c", code, str(tmp_path / "key")],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    if not (tmp_path / "key").exists():
        pytest.skip(f"strace may not trace here: {done.stderr[:80]}")
    calls = [line for line in trace.read_text().splitlines() if "key" in line]
    order = [name for line in calls for name in ("fsync(", "link") if name in line]
    assert order == ["fsync(", "link"], calls
