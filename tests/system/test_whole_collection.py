"""Every public file in by STOW-RS and by C-STORE, out by WADO-RS: equal, or refused by reason.

`make soak` asks for each file in each syntax; `make test` for each as it is stored, and in one
other syntax (each sixth file).
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.node import lossless_survey as survey
from tests.support.services import ROOT, require, require_shared_dicom
from tests.system import collection
from tests.system.collection import ASKED, STORED, Door, Sent

PAGE = ROOT / "docs" / "lossless.md"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::UserWarning"),  # pydicom on files that lie
]


@dataclass
class Hospital:
    """Two nodes that got the same files, each by another door."""

    sent: list[Sent]
    by_stow: Door
    by_store: Door


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    require_shared_dicom()
    for command in survey.COMMANDS.values():
        require(command[0])
    folder = tmp_path_factory.mktemp("collection")
    with collection.doors(folder) as (sent, by_stow, by_store):
        yield Hospital(sent, by_stow, by_store)
    shutil.rmtree(folder)


def told(head: str) -> dict[str, Counter[str]]:
    """Return what a table of docs/lossless.md says, by column."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.read_text().splitlines()
        if line.startswith("|")
    ]
    start = next(number for number, row in enumerate(rows) if row[0] == head)
    names = rows[start][1:]
    columns: dict[str, Counter[str]] = {name: Counter() for name in names}
    for said, *cells in rows[start + 2 :]:
        if len(cells) != len(names) or set(cells) == {"---"}:
            break
        for name, cell in zip(names, cells, strict=True):
            if cell:
                columns[name][said] = int(cell)
    return columns


def test_each_file_is_taken_or_refused_by_each_door_as_the_page_says(hospital: Hospital):
    head, *names = collection.HEADS_IN
    found = {
        name: door.outcomes(hospital.sent)
        for name, door in zip(names, (hospital.by_stow, hospital.by_store), strict=True)
    }
    assert found == told(head), "run: .venv/bin/python -m tests.system.collection"


@pytest.mark.parametrize("door", ["by_stow", "by_store"])
def test_what_came_by_a_door_leaves_as_it_came(hospital: Hospital, door: str, tmp_path: Path):
    entered = getattr(hospital, door)
    shown = [one for one in hospital.sent if one.uid in entered.held]
    found = collection.counted([(entered, one, STORED) for one in shown], tmp_path)
    assert found == {(STORED, survey.AS_STORED): len(entered.held)}
    assert len(shown) > 350


def test_each_sixth_file_in_one_of_the_syntaxes_is_equal_or_refused_for_a_reason_of_the_page(
    hospital: Hospital, tmp_path: Path
):
    others = [syntax for syntax in ASKED if syntax != STORED]
    turns = collection.by_turns(hospital.sent, hospital.by_stow, hospital.by_store)
    questions = [
        (door, one, others[number % len(others)]) for number, (door, one) in enumerate(turns[::6])
    ]
    page = told(collection.HEAD_OUT)
    for syntax, said in collection.counted(questions, tmp_path):
        assert page[collection.name_of(syntax)][said], f"{syntax}: {said}"


@pytest.mark.soak
@pytest.mark.parametrize("syntax", ASKED)
def test_every_file_in_every_syntax_is_as_the_page_says(
    hospital: Hospital, syntax: str, tmp_path: Path
):
    turns = collection.by_turns(hospital.sent, hospital.by_stow, hospital.by_store)
    found = collection.counted([(door, one, syntax) for door, one in turns], tmp_path)
    page = told(collection.HEAD_OUT)[collection.name_of(syntax)]
    assert {said: n for (_, said), n in found.items()} == page
