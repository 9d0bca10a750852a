"""Where an image lies in the patient: edge letters, normals, order along the stack."""

from __future__ import annotations

from math import cos, radians, sin
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_web.viewer.geometry import OPPOSITE, edges_of, is_direction, letters, normal_of, opposite

AXIAL, SAGITTAL, CORONAL = [1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1], [1, 0, 0, 0, 0, -1]


def plane(cosines: list[float]) -> dict[str, Any]:
    return {"00200037": {"vr": "DS", "Value": cosines}}


def said(*directions: str, **more: Any) -> dict[str, Any]:
    return {"00200020": {"vr": "CS", "Value": list(directions)}, **more}


@pytest.mark.parametrize(
    ("cosines", "edges"),
    [
        (AXIAL, "A L P R"),
        (SAGITTAL, "H P F A"),
        (CORONAL, "H L F R"),
        ([-1, 0, 0, 0, 1, 0], "A R P L"),
    ],
)
def test_the_letters_of_the_three_planes(cosines: list[float], edges: str) -> None:
    assert edges_of(plane(cosines)) == edges.split()


def test_an_oblique_plane_has_compound_letters_the_stronger_first() -> None:
    tilt = radians(30)
    found = edges_of(plane([cos(tilt), sin(tilt), 0, -sin(tilt), cos(tilt), 0]))
    assert found == ["AL", "LP", "PR", "RA"]


def test_a_lean_of_a_few_degrees_adds_no_letter() -> None:
    tilt = radians(4)
    assert edges_of(plane([1, 0, 0, 0, cos(tilt), sin(tilt)])) == ["A", "L", "P", "R"]


def test_patient_orientation_speaks_where_no_plane_does() -> None:
    assert edges_of(said("L", "F")) == ["H", "L", "F", "R"]
    assert edges_of(said("AR", "FP")) == ["HA", "AR", "FP", "PL"]


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        said("L"),
        said("L", "X"),
        said("LR", "F"),
        said("", "F"),
        said("LE", "V", **{"00102210": {"vr": "CS", "Value": ["QUADRUPED"]}}),
        plane([1, 0, 0, 1, 0, 0]),
        plane([0, 0, 0, 0, 0, 0]),
        plane([1, 0, 0, 0, 1]),
        plane(["a", 0, 0, 0, 1, 0]),
    ],
)
def test_what_nobody_says_or_says_wrongly_is_unknown(attributes: dict[str, Any]) -> None:
    assert edges_of(attributes) is None


@given(st.floats(0, 6.28), st.floats(0, 6.28))
def test_opposite_edges_have_opposite_letters(turn: float, lean: float) -> None:
    row = [cos(turn), sin(turn), 0]
    column = [-sin(turn) * cos(lean), cos(turn) * cos(lean), sin(lean)]
    top, right, bottom, left = edges_of(plane([*row, *column])) or []
    assert opposite(top) == bottom and opposite(left) == right
    assert all(is_direction(one) for one in (top, right, bottom, left))


@given(st.text(alphabet="LRAPHFX", max_size=4))
def test_opposite_twice_is_the_same(letters_said: str) -> None:
    if is_direction(letters_said):
        assert opposite(opposite(letters_said)) == letters_said
        assert set(letters_said) <= OPPOSITE.keys()


def test_the_normal_of_an_axial_plane_points_to_the_head() -> None:
    assert letters(normal_of(AXIAL)) == "H"
