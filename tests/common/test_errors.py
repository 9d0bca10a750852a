"""The error tree is as it is drawn, and an error translates itself."""

from __future__ import annotations

import re

import pytest

from pacs_common import errors
from pacs_common.errors import ArgensError

LINE = re.compile(r"^((?:[|` ]   )*(?:[|`]-- )?)(\w+) +0x([0-9A-F]{4})  (\d{3})(.*)$")


def drawn() -> dict[str, tuple[str, int, int, bool]]:
    """Return each class of the drawing: its parent, DIMSE status, HTTP status, retriable."""
    found: dict[str, tuple[str, int, int, bool]] = {}
    above: list[str] = []
    for line in errors.__doc__.splitlines()[2:]:
        branch, name, dimse, http, note = LINE.match(line).groups()
        depth = len(branch) // 4
        above[depth:] = [name]
        parent = above[depth - 1] if depth else "Exception"
        found[name] = (parent, int(dimse, 16), int(http), "(retriable)" in note)
    return found


def classes() -> list[type[ArgensError]]:
    return [ArgensError, *errors.explained()]


def test_the_drawing_is_the_tree():
    assert {name: line[:3] for name, line in drawn().items()} == {
        kind.__name__: (kind.__base__.__name__, kind.dimse_status, kind.http_status)
        for kind in classes()
    }


def test_what_is_drawn_retriable_is_and_so_is_all_below_it():
    def retriable(name: str) -> bool:
        parent, _, _, marked = drawn()[name]
        return marked or (parent in drawn() and retriable(parent))

    assert {kind.__name__: kind.retriable for kind in classes()} == {
        name: retriable(name) for name in drawn()
    }


def test_each_title_is_one_of_a_kind():
    titles = [kind.title for kind in classes()]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__name__)
def test_an_error_becomes_a_problem_document(kind):
    assert errors.problem(kind("the disk is full")) == {
        "type": "about:blank",
        "title": kind.title,
        "status": kind.http_status,
        "detail": "the disk is full",
    }


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__name__)
def test_every_status_is_a_failure(kind):
    assert 400 <= kind.http_status < 600
    assert kind.dimse_status >> 12 in (0xA, 0xC) or kind.dimse_status >> 8 == 0x01


def test_classes_of_a_role_are_no_part_of_what_roles_explain_to_each_other():
    class OfARole(errors.Conflict):
        title = "Only here"

    assert OfARole not in list(errors.explained())
