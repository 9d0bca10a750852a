"""The last lines of a log: whole lines from every process, bounded, and without what was quoted."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_common import recent_log
from pacs_common.errors import BadInput
from pacs_common.logs import JsonLines
from pacs_common.recent_log import RecentLines, answered


def logger(folder: Path, max_bytes: int = 1 << 20) -> logging.Logger:
    """Return a logger of its own that writes into a folder."""
    handler = RecentLines(folder, max_bytes)
    handler.setFormatter(JsonLines())
    made = logging.Logger("argens.test")
    made.addHandler(handler)
    return made


def messages(folder: Path, **asked: str) -> list[str]:
    return [one["message"] for one in answered(folder, asked)["lines"]]


def test_the_newest_lines_come_first_and_a_level_leaves_out_what_is_below(tmp_path):
    log = logger(tmp_path)
    log.info("a study arrived")
    log.warning("a disk fills", extra={"node": "CT"})
    log.error("a disk is full")
    assert messages(tmp_path) == ["a disk is full", "a disk fills", "a study arrived"]
    assert messages(tmp_path, level="WARNING") == ["a disk is full", "a disk fills"]
    assert messages(tmp_path, level="ERROR", limit="1") == ["a disk is full"]
    assert answered(tmp_path, {"limit": "2"})["lines"][1]["node"] == "CT"


def test_words_are_found_in_the_message_and_beside_it_without_regard_to_case(tmp_path):
    log = logger(tmp_path)
    log.warning("a disk fills", extra={"node": "Scanner"})
    log.warning("a peer hangs")
    assert messages(tmp_path, words="SCANNER") == ["a disk fills"]
    assert messages(tmp_path, words="hangs") == ["a peer hangs"]
    assert messages(tmp_path, words="nobody") == []


def test_of_an_exception_its_kind_alone_is_told_and_what_it_says_finds_nothing(tmp_path):
    try:
        raise ValueError("DURAND^MARIE")
    except ValueError:
        logger(tmp_path).exception("an object cannot be read")
    (line,) = answered(tmp_path, {})["lines"]
    assert line["exception"] == "ValueError"
    assert messages(tmp_path, words="durand") == []


def test_two_files_of_bounded_size_hold_the_newest(tmp_path):
    log = logger(tmp_path, max_bytes=2000)
    for number in range(200):
        log.warning("line %d", number)
    found = messages(tmp_path, limit="1000")
    assert found == [f"line {number}" for number in range(199, 199 - len(found), -1)]
    assert 10 < len(found) < 60
    assert sum(file.stat().st_size for file in tmp_path.glob("*.jsonl")) <= 4000


WRITER = """
import sys
from pathlib import Path
from tests.common.test_recent_log import logger
log = logger(Path(sys.argv[1]), max_bytes=8000)
for number in range(300):
    log.warning("%s %d", sys.argv[2], number)
"""


def test_several_processes_write_whole_lines_over_the_change_of_files(tmp_path):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name])
        for name in ("one", "two")
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    for file in tmp_path.glob("*.jsonl"):
        for line in file.read_text().splitlines():
            assert json.loads(line)["message"].split()[0] in ("one", "two")
    newest = {name: f"{name} 299" for name in ("one", "two")}
    assert set(newest.values()) & set(messages(tmp_path, limit="1000"))


def test_a_folder_that_was_removed_is_made_again(tmp_path):
    folder = tmp_path / "log"
    log = logger(folder)
    log.warning("before")
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    log.warning("after")
    assert messages(folder) == ["after"]


def test_a_folder_that_cannot_be_written_stops_nobody(tmp_path):
    (tmp_path / "log").write_text("a file in its place")
    logger(tmp_path / "log").warning("nobody keeps this")
    assert messages(tmp_path / "log") == []


def test_a_line_that_cannot_be_made_stops_nobody_who_logs(tmp_path, capsys):
    log = logger(tmp_path)
    log.warning("%d images", "many")
    log.warning("the next one")
    assert messages(tmp_path) == ["the next one"]
    assert "Logging error" in capsys.readouterr().err


@pytest.mark.parametrize(
    "asked", [{"limit": "0"}, {"limit": "-1"}, {"limit": "x"}, {"limit": "1001"}, {"level": "LOUD"}]
)
def test_a_question_without_sense_is_refused_in_one_line(tmp_path, asked):
    with pytest.raises(BadInput, match=r"^(limit|level) is "):
        answered(tmp_path, asked)


@given(st.binary(max_size=400))
def test_what_is_no_line_of_ours_is_passed_over(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("log")
    (folder / recent_log.RECENT).write_bytes(content + b'\n{"level": "ERROR", "message": "ours"}\n')
    assert messages(folder, words="ours")[0] == "ours"
