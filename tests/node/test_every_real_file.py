"""Every real file in every offered transfer syntax: equal, or refused for a reason in the table."""

from itertools import dropwhile, takewhile
from pathlib import Path

import pytest

from tests.node import lossless_survey as survey
from tests.node.render_images import SHARED
from tests.support.services import require

PAGE = Path(__file__).parents[2] / "docs" / "lossless.md"
NEEDED = {command[0] for command in survey.COMMANDS.values()}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/dicom is not here"),
]


@pytest.fixture(autouse=True, scope="module")
def foreign_software():
    """DCMTK and GDCM, which decompress what the node compressed."""
    for program in NEEDED:
        require(program)


EVERY = 3  # each kind is tried in a third of the syntaxes


def told(column):
    """Return what the table of docs/lossless.md says of a column."""
    lines = dropwhile(lambda line: not line.startswith("| outcome"), PAGE.read_text().splitlines())
    table = takewhile(lambda line: line.startswith("|"), lines)
    head, _, *body = ([cell.strip() for cell in line.split("|")[1:-1]] for line in table)
    place = head.index(column)
    return {row[0]: int(row[place]) for row in body if row[place]}


@pytest.mark.parametrize("column", survey.COLUMNS)
def test_one_file_of_each_kind_is_equal_or_refused_for_a_reason_of_the_page(column, tmp_path):
    reasons = told(survey.name_of(column))
    place = survey.COLUMNS.index(column)
    for path in survey.one_of_each_kind()[place % EVERY :: EVERY]:
        assert survey.become_of(path, column, tmp_path) in reasons, path.name


@pytest.mark.soak
@pytest.mark.parametrize("column", survey.COLUMNS)
def test_every_real_file_is_equal_by_foreign_software_or_refused_as_the_page_says(column, tmp_path):
    assert told(survey.name_of(column)) == dict(survey.counted(column, tmp_path)), (
        "run: .venv/bin/python -m tests.node.lossless_survey"
    )
