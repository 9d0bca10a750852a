"""A chest radiograph, postero-anterior: the patient's right is at the film's left."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from dicom_node.sampleday.projection import Array, Projection, chord, ramp

ROWS, COLUMNS, SPACING_MM = 1185, 880, 0.4  # half the plate's resolution
_RIBS = 10


def chest_film(rng: np.random.Generator, woman: bool) -> Array:
    """Return the film's shadow, 0 (air) to about 1 (below the diaphragm)."""
    film = Projection(ROWS, COLUMNS, SPACING_MM)
    film.shadow += _body(film, rng)
    heart = _heart(rng)
    lungs = _lungs(film, rng, heart)
    film.shadow -= 0.42 * lungs
    vessels = Projection(ROWS, COLUMNS, SPACING_MM)
    _vessels(vessels, rng)
    film.shadow += np.minimum(vessels.shadow, 0.14) * np.minimum(lungs * 1.6, 1)
    _bones(film, rng)
    _airway(film)
    if woman:
        _breasts(film, rng)
    return film.shadow


def _body(film: Projection, rng: np.random.Generator) -> Array:
    x, y = film.x[None, :], film.y[:, None]
    slope = np.clip((y + 196) / 62, 0, 1)
    shoulders = slope * slope * (3 - 2 * slope)
    half = 56 + (150 + rng.uniform(-6, 8)) * shoulders - 34 * ramp(y + 20, 220)
    trunk = chord((x / half) ** 2) ** 0.45
    thick = 0.36 + 0.3 * ramp(y + 60, 260) + 0.1 * ramp(y - 95, 40)
    return (trunk * thick).astype(np.float32)


def _heart(rng: np.random.Generator) -> Projection:
    heart = Projection(ROWS, COLUMNS, SPACING_MM)
    size = rng.uniform(0.92, 1.1)
    heart.ball((24, 62), (66 * size, 48 * size), 0.95, 34)
    heart.ball((-14, 58), (34 * size, 48 * size), 0.8)
    heart.ball((22, 6), (26, 30), 0.6)
    heart.ball((18, -42), (23, 22), 0.75)
    heart.rod((-16, -110), (-18, 20), (17, 20), 0.6)
    heart.rod((8, -110), (20, 100), (18, 16), 0.7)
    return heart


def _lungs(film: Projection, rng: np.random.Generator, heart: Projection) -> Array:
    """Return how much lung the beam crosses, 0 to 1."""
    x, y = film.x[None, :], film.y[:, None]
    base = rng.uniform(92, 112)
    total = np.zeros_like(film.shadow)
    for side, drop in ((-1, -9.0), (1, 4.0)):
        away = side * x
        top = np.clip((-y - 20) / 128, 0, 1)
        outer = 130 * np.sqrt(np.clip(1 - top**2.4, 0.0, 1)) * (1 - 0.07 * ramp(y - 92, 90) ** 2)
        inner = 14 + 5 * ramp(y, 120) + 14 * top**3
        middle, half = (outer + inner) / 2, np.maximum((outer - inner) / 2, 1)
        across = chord(np.clip(((away - middle) / half) ** 2, 0, 1)) ** 0.55
        dome = base + drop + 42 * ((away - 62) / 76) ** 2 * np.where(away > 62, 1.25, 0.35)
        total += across * ramp(dome - y, 1.6) * ramp(outer - inner - 4, 6) * (away > 0)
    return total * (1 - 0.9 * np.clip(heart.shadow, 0, 1) ** 0.8)


def _vessels(film: Projection, rng: np.random.Generator) -> None:
    for side in (-1, 1):
        root = np.array((side * 34.0, 8.0))
        film.ball((side * 38, 4), (13, 20), 0.16, side * 20)
        for _ in range(85):
            angle = rng.uniform(-1.35, 1.5)
            length = rng.uniform(40, 104) * (1.05 - 0.25 * abs(np.sin(angle)) * (angle < 0))
            heading = np.array((side * np.cos(angle), np.sin(angle)))
            start, radius = root + rng.normal(0, 5, 2), rng.uniform(1.5, 3.2)
            for _step in range(3):
                end = start + heading * length / 3
                film.rod(tuple(start), tuple(end), (radius, radius * 0.62), 0.028 * radius)
                start, radius = end, radius * 0.62
                turn = rng.normal(0, 0.22)
                heading = heading @ np.array(
                    [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]
                )


def _bones(film: Projection, rng: np.random.Generator) -> None:
    for number in range(_RIBS):
        _rib(film, number)
    for number in range(16):
        _vertebra(film, -195 + 25.5 * number)
    tilt = rng.uniform(-4, 4)
    girdle = Projection(ROWS, COLUMNS, SPACING_MM)
    for side in (-1, 1):
        joints = [(12, -112), (58, -127), (104, -143 + tilt), (156, -149 + tilt)]
        for start, end in pairwise(joints):
            girdle.flesh((side * start[0], start[1]), (side * end[0], end[1]), (6.4, 6), 0.014)
        girdle.flesh((side * 118, -118), (side * 128, 18), (2.6, 2), 0.012)
        girdle.flesh((side * 128, 18), (side * 158, -96), (3, 4), 0.012)
        girdle.flesh((side * 104, -120), (side * 160, -142), (4, 5), 0.01)
        girdle.ball((side * 182, -124), (25, 26), 0.14)
    film.shadow += girdle.shadow


def _vertebra(film: Projection, y: float) -> None:
    found = film.window(-32, 32, y - 14, y + 14)
    x, rows = film.at(found)
    waist = 17.5 - 2.2 * chord(((rows - y) / 12) ** 2)
    body = ramp(waist - np.abs(x), 1.6) * ramp(11 - np.abs(rows - y), 1.6)
    rim = ramp(np.abs(rows - y) - 9.6, 1.2) + ramp(np.abs(x) - waist + 1.4, 1.2)
    film.shadow[found] += body * (0.055 + 0.022 * np.minimum(rim, 1))
    for side in (-1, 1):
        film.ball((side * 11, y - 3), (3.2, 5), 0.045)
        film.rod((side * 15, y + 1), (side * 30, y - 3), (4.2, 3), 0.035)
    film.ball((0, y + 7), (2.8, 7), 0.04)


def _rib(film: Projection, number: int) -> None:
    """Add one pair: the back is an ellipse's upper arc, the front its lower one."""
    share = number / (_RIBS - 1)
    wide = 74 + 62 * np.sqrt(min(1.0, share * 1.9)) - 4 * share
    high = 22 + 34 * share**0.7
    centre = -158 + 26.0 * number + high - 10 * (1 - share)
    found = film.window(-wide - 9, wide + 9, centre - high - 9, centre + high + 9)
    x, y = film.at(found)
    dy = y - centre - 0.0006 * x * x
    f = np.sqrt((x / wide) ** 2 + (dy / high) ** 2)
    slope = np.sqrt((x / wide**2) ** 2 + (dy / high**2) ** 2) / np.maximum(f, 1e-3)
    distance = np.abs(f - 1) / np.maximum(slope, 1e-4)
    back = dy < 0
    radius = np.where(back, 5.4, 6.4)
    outer = chord((distance / radius) ** 2)
    shell = outer - 0.5 * chord((distance / (radius - 1.5)) ** 2)
    ends = np.where(back, ramp(np.abs(x) - 14, 8), ramp(np.abs(x) - (50 + 20 * share), 26))
    film.shadow[found] += np.where(back, 0.105, 0.062) * shell * ends


def _airway(film: Projection) -> None:
    film.rod((0, -215), (2, -36), (8.5, 8), -0.075)
    film.rod((2, -36), (-30, -2), (7, 5), -0.05)
    film.rod((2, -36), (36, 2), (6.5, 5), -0.05)
    film.ball((62, 118), (22, 12), -0.14)


def _breasts(film: Projection, rng: np.random.Generator) -> None:
    low = rng.uniform(78, 104)
    for side in (-1, 1):
        film.ball((side * 86, low - 44), (56, 60), 0.1)
