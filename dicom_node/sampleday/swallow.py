"""A barium swallow under fluoroscopy: a bolus runs down the oesophagus and fills the stomach."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dicom_node.sampleday.phantom import Grain
from dicom_node.sampleday.projection import Array, Projection, chord, enlarged, ramp

SIZE, SPACING_MM = 512, 0.5  # half of the 1024 x 1024 that are written
INTENSIFIER_MM = 124.0
VIEWS = ("face", "oblique", "stomach")


class Swallow:
    """One patient's loops; white barium on grey, round as the image intensifier is."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._lean = rng.uniform(-4, 4)
        self._grain = Grain(rng, (2 * SIZE, 2 * SIZE), 1)

    def frames(self, view: str, count: int) -> Iterator[np.ndarray]:
        """Yield `count` pictures, 1024 x 1024 of 8 bits, of a view named in VIEWS."""
        background = self._background(view)
        for number in range(count):
            t = number / max(1, count - 1)
            film = Projection(SIZE, SIZE, SPACING_MM)
            film.shadow += background
            if view == "stomach":
                _stomach(film, t)
            else:
                self._bolus(film, view, t)
            yield self._exposed(film.shadow)

    def _background(self, view: str) -> Array:
        film = Projection(SIZE, SIZE, SPACING_MM)
        x, y = film.x[None, :], film.y[:, None]
        spine = {"face": 0.0, "oblique": -52.0, "stomach": -46.0}[view]
        film.shadow += 0.3 + 0.0004 * y + 0 * x
        if view == "stomach":
            film.shadow += 0.05 * np.sin(x / 37 + 1) * np.cos(y / 29) + 0.06
            film.shadow += 0.16 * ramp(-y - 78 - 0.006 * x * x + 20, 1.5) * -1
        else:
            lung = ramp(np.abs(x - spine * 0.3) - 34, 18) * ramp(
                62 - y + 0.009 * (np.abs(x) - 52) ** 2, 2
            )
            film.shadow -= 0.17 * lung
            film.ball((34 if view == "face" else 10, 66), (62, 54), 0.12, 30)
            film.shadow += 0.05 * ramp(y - 62 - 0.009 * (np.abs(x) - 52) ** 2, 3)
        self._spine(film, spine)
        for number in range(7):
            rib = y + 120 - 38 * number + 0.0035 * (x - spine) ** 2
            fade = ramp(np.abs(x - spine) - 18, 10)
            film.shadow += 0.045 * (chord((rib / 6) ** 2) - 0.5 * chord((rib / 4.6) ** 2)) * fade
        return film.shadow

    def _spine(self, film: Projection, at: float) -> None:
        x, y = film.x[None, :] - at - self._lean, film.y[:, None]
        beat = np.abs(np.mod((y + 200) / 25, 1) - 0.5) * 25
        body = ramp(17 - 1.6 * chord((beat / 12) ** 2) - np.abs(x), 2) * ramp(10.4 - beat, 1.8)
        film.shadow += 0.13 * body + 0.05 * ramp(20 - np.abs(x), 8)
        for side in (-1, 1):
            film.shadow += 0.05 * chord(((x - side * 10) / 3) ** 2 + (beat / 4.5) ** 2)

    def _bolus(self, film: Projection, view: str, t: float) -> None:
        """Add barium between the wave's tail and the bolus's head; folds stay coated behind."""
        x, y = film.x[None, :], film.y[:, None]
        middle = 10 + 5 * np.sin(y / 42) + (0.0016 * (y + 20) ** 2 if view == "face" else 0.08 * y)
        head, tail = -150 + 330 * t, -215 + 330 * t
        between = ramp(head - y, 16) * ramp(y - tail, 34)
        sphincter = 1 - 0.75 * np.exp(-(((y - 84) / 7) ** 2)) * (1 - 0.6 * ramp(t - 0.55, 0.3))
        aorta = 1 - 0.18 * np.exp(-(((y + 52) / 9) ** 2))
        wide = np.maximum(9.5 * between * sphincter * aorta, 0.05) + 0.6
        film.shadow += (
            0.5
            * (wide / 10) ** 0.5
            * chord(((x - middle) / wide) ** 2)
            * np.minimum(1, 5 * between)
        )
        coated = ramp(head - y - 20, 10) * (1 - 0.85 * between)
        for offset in (-3.2, 0.0, 3.2):
            wave = offset + 0.7 * np.sin(y / 6 + offset)
            film.shadow += 0.07 * coated * np.exp(-(((x - middle - wave) / 0.8) ** 2))
        if t > 0.55:
            fill = min(1.0, (t - 0.55) / 0.4)
            film.ball((44, 128), (44 * fill + 8, 26 * fill + 6), 0.5 * fill)

    def _exposed(self, shadow: Array) -> np.ndarray:
        """Return what the television chain gives: blurred, grainy, darker to the rim."""
        picture = enlarged(shadow, 2)
        steps = (np.arange(2 * SIZE) - SIZE + 0.5) * SPACING_MM / 2
        radius = np.hypot(steps[None, :], steps[:, None])
        light = 18 + 250 * picture * (1 - 0.22 * (radius / INTENSIFIER_MM) ** 2)
        light = light + 4.2 * self._grain.cut(self._rng)
        light = light * ramp(INTENSIFIER_MM - radius, 1.0)
        return np.clip(np.rint(light), 0, 255).astype(np.uint8)


def _stomach(film: Projection, t: float) -> None:
    """Add a J-shaped stomach that fills, its antrum squeezed by passing waves."""
    s = np.linspace(0, 1, 90)
    along_x = _smooth([50, 58, 64, 62, 52, 32, 8, -12, -26, -34])
    along_y = _smooth([-74, -56, -30, 4, 38, 62, 66, 54, 40, 34])
    waves = 1 - 0.42 * np.exp(-(((np.mod(s * 3.2 - 2.4 * t, 1) - 0.5) / 0.13) ** 2)) * ramp(
        s - 0.45, 0.2
    )
    radius = (26 - 13 * s**0.8 + 8 * np.exp(-(((s - 0.14) / 0.16) ** 2))) * waves
    radius[s > 0.93] *= 0.45
    filled = np.clip((t * 1.25 + 0.35 - s) * 6, 0, 1)
    barium = Projection(SIZE, SIZE, SPACING_MM)
    spots = list(zip(along_x.tolist(), along_y.tolist(), strict=True))
    for number in range(len(spots) - 1):
        if filled[number] > 0.05:
            pair = (float(radius[number]), float(radius[number + 1]))
            weight = 0.55 * float(filled[number]) / max(pair[0], 14)
            barium.flesh(spots[number], spots[number + 1], pair, weight)
    x, y = film.x[None, :], film.y[:, None]
    folds = 1 - 0.1 * np.cos((x + 0.25 * y) / 2.6 + 0.8 * np.sin(y / 15)) ** 2
    level = ramp(y + 52, 2)  # the fundus holds air above the barium
    film.shadow += np.minimum(barium.shadow, 0.52) * folds * (0.12 + 0.88 * level)
    film.shadow -= 0.05 * np.minimum(barium.shadow, 0.4) * (1 - level)


def _smooth(corners: list[float]) -> np.ndarray:
    """Return 90 points of a curve that rounds these corners."""
    line = np.interp(np.linspace(0, len(corners) - 1, 90), range(len(corners)), corners)
    padded = np.pad(line, 8, mode="edge")
    return np.convolve(padded, np.hanning(17) / np.hanning(17).sum(), mode="valid")
