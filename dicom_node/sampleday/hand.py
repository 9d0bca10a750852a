"""A hand on a film, back of the hand towards the tube: carpals, metacarpals, phalanges."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dicom_node.sampleday.projection import Array, Projection, Spot

ROWS, COLUMNS, SPACING_MM = 1185, 880, 0.2  # half the plate's resolution


class _Ray(NamedTuple):
    """A metacarpal and its finger; the direction in degrees from upright."""

    base: Spot
    head: Spot
    degrees: float
    phalanges: list[tuple[float, float]]  # length, radius
    radius: float


# A right hand with its thumb at the film's left.
_RAYS = [
    _Ray((-28, 40), (-54, 6), -40, [(31, 5.4), (23, 5.0)], 5.6),
    _Ray((-17, 32), (-27, -30), -10, [(40, 5.2), (24, 4.4), (18, 3.9)], 5.0),
    _Ray((-4, 31), (-5, -36), -2, [(44, 5.4), (29, 4.5), (19, 4.0)], 5.0),
    _Ray((8, 32), (15, -28), 6, [(41, 5.0), (27, 4.2), (19, 3.8)], 4.4),
    _Ray((18, 35), (33, -17), 15, [(33, 4.4), (19, 3.8), (17, 3.4)], 4.2),
]
_CARPALS = [
    ((-21, 53), (7.5, 11.5), 35), ((-5, 58), (8, 8.5), 0), ((10, 56), (7.5, 8), -20),
    ((15, 60), (4.5, 5), 0), ((-27, 42), (7.5, 7.5), 0), ((-17, 41), (6, 6.5), 0),
    ((-4, 45), (7.5, 11.5), 5), ((9, 44), (8.5, 10), -12),
]  # fmt: skip
_GAP_MM = 2.2


def hand_film(rng: np.random.Generator, side: str, oblique: bool) -> Array:
    """Return the shadow of a hand, `side` R or L, 0 (air) to about 1 (bone)."""
    place = _Placing(rng, side, oblique)
    flesh = Projection(ROWS, COLUMNS, SPACING_MM)
    bones = Projection(ROWS, COLUMNS, SPACING_MM)
    for ray in _RAYS:
        _ray(place, flesh, bones, ray)
    _palm(place, flesh)
    _wrist(place, flesh, bones)
    trabeculae = 1 + 0.05 * _coarse(rng)
    return np.sqrt(flesh.shadow * 0.075) * 0.62 + bones.shadow * trabeculae


class _Placing:
    """Turns the plan of a right hand into this patient's hand on the film."""

    def __init__(self, rng: np.random.Generator, side: str, oblique: bool) -> None:
        self.size = float(rng.uniform(0.78, 0.86))
        self.turn = math.radians(float(rng.uniform(-7, 7)))
        self.mirror = 1 if side == "R" else -1
        self.squeeze = 0.74 if oblique else 1.0
        self.lean = 0.16 if oblique else 0.0
        self.shift = (float(rng.uniform(8, 14)) * self.mirror, 32 + float(rng.uniform(-4, 4)))

    def __call__(self, spot: Spot) -> Spot:
        x = (spot[0] * self.squeeze + self.lean * (30 - spot[1])) * self.size * self.mirror
        y = spot[1] * self.size
        cosine, sine = math.cos(self.turn), math.sin(self.turn)
        return x * cosine - y * sine + self.shift[0], x * sine + y * cosine + self.shift[1]


def _ray(place: _Placing, flesh: Projection, bones: Projection, ray: _Ray) -> None:
    base, head, degrees, phalanges, radius = ray
    bones.rod(place(base), place(head), (radius + 1.6, radius + 1.2), 0.36, hollow=0.62, waist=0.36)
    flesh.flesh(place(base), place(head), (15, 13), 1.0)
    heading = (math.sin(math.radians(degrees)), -math.cos(math.radians(degrees)))
    at = (head[0] + heading[0] * (radius + 7.6), head[1] + heading[1] * (radius + 7.6))
    start = head
    for number, (length, thick) in enumerate(phalanges):
        end = (at[0] + heading[0] * length, at[1] + heading[1] * length)
        last = number == len(phalanges) - 1
        radii = (thick + 0.6, thick * (0.55 if last else 0.86))
        bones.rod(place(at), place(end), radii, 0.34 - 0.04 * number, hollow=0.58, waist=0.34)
        if last:
            bones.ball(place(end), (3.2, 2.4), 0.1)
        flesh.flesh(place(start), place(end), (10.5 - number, 8.6 - 0.6 * number), 1.0)
        start = end
        gap = _GAP_MM + 2 * thick * 0.88
        at = (end[0] + heading[0] * gap, end[1] + heading[1] * gap)


def _palm(place: _Placing, flesh: Projection) -> None:
    for start, end, radius in (
        ((-20, 30), (-16, -18), 17), ((0, 34), (4, -20), 18), ((18, 38), (22, -8), 17),
        ((-30, 40), (-42, 14), 15), ((-4, 60), (-4, 130), 27), ((6, 60), (8, 130), 25),
    ):  # fmt: skip
        flesh.flesh(place(start), place(end), (radius, radius), 1.0)


def _wrist(place: _Placing, flesh: Projection, bones: Projection) -> None:
    turn = math.degrees(place.turn)
    for centre, radii, lean in _CARPALS:
        at, wide = place(centre), (radii[0] * place.squeeze * place.size, radii[1] * place.size)
        bones.ball(at, wide, 0.28, place.mirror * lean + turn)
        inner = (wide[0] - 1.3, wide[1] - 1.3)
        bones.ball(at, inner, -0.12, place.mirror * lean + turn)
    bones.rod(place((-12, 76)), place((-9, 140)), (13.5, 8), 0.27, hollow=0.62)
    bones.rod(place((-24, 68)), place((-20, 78)), (4, 7), 0.2)
    bones.rod(place((17, 76)), place((14, 140)), (7.5, 6), 0.26, hollow=0.62)
    bones.rod(place((21, 68)), place((20, 76)), (2.2, 3.2), 0.16)


def _coarse(rng: np.random.Generator) -> Array:
    """Return the grain of cancellous bone: noise blurred over half a millimetre."""
    noise: Array = rng.standard_normal((ROWS, COLUMNS), np.float32)
    for axis in (0, 1):
        noise = (noise + np.roll(noise, 1, axis) + np.roll(noise, -1, axis)) / 3
    return noise * 3
