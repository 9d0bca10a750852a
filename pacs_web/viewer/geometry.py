"""Where an image lies in the patient: edge letters, normals, positions (PS3.3 C.7.6.2.1.1)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import hypot, isclose

from pacs_web.federation.dicom_json import Attributes, numbers, text, values

LETTERS = (("L", "R"), ("P", "A"), ("H", "F"))  # towards + and - of x, y and z of the patient
OPPOSITE = {a: b for pair in LETTERS for a, b in (pair, pair[::-1])}
LEAST = 0.0872  # sin 5 degrees: a letter for what leans less would only be noise
PLANES_REMEMBERED = 1024  # the slices of a stack lie in parallel ones
UNIT = 0.01  # how far a cosine's length, or the angle between two, may be off

Vector = Sequence[float]


def edges_of(attributes: Attributes) -> list[str] | None:
    """Return the letters at the top, right, bottom and left edge, or None where nobody says.

    From Image Orientation (Patient), else from Patient Orientation. Animals that go on four
    feet have other letters (PS3.3 C.7.6.1.1.1): they get none.
    """
    if text(attributes, "AnatomicalOrientationType") == "QUADRUPED":
        return None
    plane = plane_of(attributes)
    if plane is not None:
        right, bottom = letters(plane[:3]), letters(plane[3:])
    else:
        said = [str(value).strip() for value in values(attributes, "PatientOrientation")]
        if len(said) != 2 or not all(is_direction(one) for one in said):
            return None
        right, bottom = said
    return [opposite(bottom), right, bottom, opposite(right)]


def plane_of(attributes: Attributes) -> list[float] | None:
    """Return the six direction cosines, None where they are absent or no pair of unit vectors."""
    plane = numbers(attributes, "ImageOrientationPatient")
    if len(plane) != 6:
        return None
    return plane if _is_sound(tuple(plane)) else None


@lru_cache(PLANES_REMEMBERED)
def _is_sound(plane: tuple[float, ...]) -> bool:
    row, column = plane[:3], plane[3:]
    are_units = all(isclose(hypot(*one), 1, abs_tol=UNIT) for one in (row, column))
    return are_units and abs(dot(row, column)) <= UNIT


def normal_of(plane: Vector) -> list[float]:
    """Return the normal of a plane of six direction cosines."""
    row, column = plane[:3], plane[3:]
    return [
        row[1] * column[2] - row[2] * column[1],
        row[2] * column[0] - row[0] * column[2],
        row[0] * column[1] - row[1] * column[0],
    ]


def place_of(attributes: Attributes) -> list[float] | None:
    """Return the position of the first pixel in mm, or None."""
    place = numbers(attributes, "ImagePositionPatient")
    return place if len(place) == 3 else None


def letters(direction: Vector) -> str:
    """Return towards what a direction points, the strongest first: "L", "LA", "HPL"."""
    return _letters(tuple(direction))


@lru_cache(PLANES_REMEMBERED)
def _letters(direction: tuple[float, ...]) -> str:
    towards = sorted(zip(map(float, direction), LETTERS, strict=True), key=lambda one: -abs(one[0]))
    return "".join(pair[0] if size > 0 else pair[1] for size, pair in towards if abs(size) >= LEAST)


def opposite(said: str) -> str:
    """Return the letters of the other way: "LA" becomes "RP"."""
    return "".join(OPPOSITE[letter] for letter in said)


def is_direction(said: str) -> bool:
    """Whether letters of Patient Orientation make sense: one to three, each of another axis."""
    if not 1 <= len(said) <= 3 or not set(said) <= OPPOSITE.keys():
        return False
    return not any(a in said and b in said for a, b in LETTERS) and len(set(said)) == len(said)


def dot(one: Vector, other: Vector) -> float:
    """Return the scalar product."""
    return sum(a * b for a, b in zip(one, other, strict=True))
