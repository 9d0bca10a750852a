"""A head for CT: scalp, skull, gyri, ventricles, skull base, orbits and sinuses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dicom_node.sampleday.phantom import Array, Canvas, Plane, Waves, bump, edge, plane_at

AIR, FAT, SCALP, FLUID, WHITE, GREY, BLOOD = -1000.0, -90.0, 30.0, 6.0, 27.0, 39.0, 52.0
CORTEX_BONE, DIPLOE, MUSCLE = 1350.0, 620.0, 58.0
CRANIUM_TOP_MM, CRANIUM_BOTTOM_MM = 88.0, -70.0
FIELD_MM = 230.0


@dataclass(frozen=True)
class Build:
    """What differs between heads."""

    scale: float
    ventricles: float
    atrophy: float


class Head:
    """One invented head; `slice_at` gives Hounsfield units without noise."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.build = Build(rng.uniform(0.95, 1.05), rng.uniform(0.9, 1.5), rng.uniform(0.7, 1.4))
        self._warp = (Waves(rng, 6, 90), Waves(rng, 6, 90))
        self._folds = Waves(rng, 16, 30, 0.35)
        self._mottle = Waves(rng, 8, 14)
        self._cells = Waves(rng, 10, 7)

    def plane(self, z_mm: float, size: int, tilt_deg: float) -> Plane:
        """Return the plane of a slice whose centre lies `z_mm` above the ear's level."""
        return plane_at(z_mm, size, FIELD_MM, 0.0, tilt_deg, self._warp, 1.1)

    def slice_at(self, plane: Plane) -> Array:
        """Return the slice's Hounsfield units."""
        canvas = Canvas(plane, AIR)
        self._holder(canvas)
        depth = self._skull(canvas)
        brain = edge(depth - 0.5, 1.0)
        self._brain(canvas, depth, brain)
        self._ventricles(canvas, brain)
        self._posterior_fossa(canvas, brain)
        self._base(canvas)
        self._face(canvas)
        return canvas.hu

    def _radii(self, plane: Plane) -> tuple[Array, Array]:
        """Return the outer skull's half width and half length for each row."""
        z = plane.rows_z
        above = np.clip(z / CRANIUM_TOP_MM, 0, 0.999)
        dome = np.sqrt(1 - above**2.6)
        base = 1 - 0.16 * np.clip(-z / 70, 0, 1.4) ** 2
        scale = self.build.scale
        return 72 * scale * dome * base, 90 * scale * dome * (1 - 0.1 * np.clip(-z / 70, 0, 1.4))

    def _skull(self, canvas: Canvas) -> Array:
        """Paint scalp and skull; return the depth (mm) below the inner table."""
        plane = canvas.plane
        wide, long = self._radii(plane)
        narrow_front = 1 - 0.1 * np.clip(-plane.y / 90, -0.6, 1)
        q = np.sqrt((plane.x / (wide * narrow_front)) ** 2 + (plane.y / long) ** 2)
        outer = (1 - q) * np.minimum(wide, long)
        thickness = 4.6 + 1.8 * np.abs(plane.y) / 90 + 0.6 * self._folds_low(plane)
        canvas.blend(edge(outer + 8.0, 1.2), SCALP)
        canvas.blend(edge(outer + 6.2, 1.5) * edge(-outer, 1.5), FAT)
        canvas.blend(edge(outer + 3.0, 1.5) * edge(-outer, 1.5), MUSCLE - 20)
        canvas.blend(edge(outer, 1.2), CORTEX_BONE)
        middle = np.abs(outer - thickness / 2)
        canvas.blend(edge(thickness / 2 - 1.9 - middle, 1.2), DIPLOE)
        return np.asarray(outer - thickness)

    def _folds_low(self, plane: Plane) -> Array:
        return self._warp[0].over(plane.columns_x * 2, plane.rows_y * 2, plane.rows_z)

    def _brain(self, canvas: Canvas, depth: Array, brain: Array) -> None:
        plane = canvas.plane
        folds = np.abs(self._folds.over(plane.columns_x * 1.35, plane.rows_y * 1.35, plane.rows_z))
        canvas.blend(brain, WHITE)
        ribbon = edge(4.2 - depth, 2.0)
        gyral = np.clip((24 - depth) / 14, 0, 1) * edge((0.6 - folds) * 7, 2.5)
        canvas.blend(brain * np.maximum(ribbon, gyral), GREY)
        sulci = np.clip((19 - depth) / 9, 0, 1) * edge((0.2 * self.build.atrophy - folds) * 5, 1)
        canvas.blend(brain * sulci * 0.85, FLUID)
        canvas.blend(brain * edge(0.9 * self.build.atrophy - depth, 1.2), FLUID + 4)
        self._midline(canvas, depth, brain)
        self._deep_grey(canvas, brain)
        texture = self._mottle.over(plane.columns_x, plane.rows_y, plane.rows_z)
        canvas.hu += brain * texture * 0.9

    def _midline(self, canvas: Canvas, depth: Array, brain: Array) -> None:
        plane = canvas.plane
        above = np.clip((plane.rows_z + 12) / 10, 0, 1)
        callosum = np.clip((plane.rows_z - 34) / 8, 0, 1)
        reach = np.maximum(callosum, edge(np.abs(plane.y - 6) - 42, 8))
        fissure = edge(1.5 * self.build.atrophy - np.abs(plane.x), 1.4) * above * reach
        canvas.blend(brain * fissure * 0.8, FLUID)
        falx = edge(0.8 - np.abs(plane.x), 1.0) * above * reach * edge(20 - depth, 12)
        canvas.blend(brain * falx, BLOOD)
        sinus = bump(plane.x, 0, 4) * edge(6 - depth, 3) * (plane.y > 0) * above
        canvas.blend(brain * sinus, BLOOD)

    def _deep_grey(self, canvas: Canvas, brain: Array) -> None:
        for side in (-1, 1):
            canvas.ellipsoid((side * 27, -6, 10), (7, 19, 17), GREY, turn_deg=side * 14, soft_mm=4)
            canvas.ellipsoid((side * 11, 14, 12), (8, 14, 15), GREY, turn_deg=-side * 24, soft_mm=4)
            canvas.ellipsoid((side * 14, -26, 18), (5, 8, 18), GREY, soft_mm=3)
            canvas.ellipsoid((side * 37, -6, 6), (2.2, 22, 18), GREY, turn_deg=side * 8, soft_mm=2)
            canvas.ellipsoid(
                (side * 52, -12, 2), (13, 2.6, 15), FLUID, turn_deg=side * 10, soft_mm=3
            )
            canvas.ellipsoid(
                (side * 42, -8, 2), (2.2, 14, 14), FLUID + 4, turn_deg=side * 8, soft_mm=3
            )

    def _ventricles(self, canvas: Canvas, brain: Array) -> None:
        wide = self.build.ventricles
        for side in (-1, 1):
            canvas.ellipsoid(
                (side * 8, -28, 18), (4.2 * wide, 14, 17), FLUID, turn_deg=side * 18, soft_mm=1.8
            )
            canvas.ellipsoid((side * 11, 6, 33), (5 * wide, 34, 10), FLUID, turn_deg=-side * 6)
            canvas.ellipsoid(
                (side * 25, 38, 18), (5 * wide, 17, 14), FLUID, turn_deg=-side * 20, soft_mm=1.8
            )
            canvas.ellipsoid((side * 22, 36, 17), (2.6, 5, 5), 140, turn_deg=-side * 20, soft_mm=2)
        canvas.ellipsoid((0, 6, 6), (2.0 * wide, 14, 12), FLUID)
        canvas.ellipsoid((0, 26, 8), (2.2, 2.6, 4), 190, soft_mm=1.5)
        canvas.ellipsoid((0, 34, 4), (12, 6, 8), FLUID + 2, soft_mm=3)

    def _posterior_fossa(self, canvas: Canvas, brain: Array) -> None:
        plane = canvas.plane
        low = np.clip((-14 - plane.rows_z + 0.0 * plane.y) / 6, 0, 1)
        for side in (-1, 1):
            canvas.ellipsoid((side * 24, 52, -40), (29, 30, 28), GREY - 3, soft_mm=3, mask=brain)
            canvas.tube((side * 14, 12, -22), (side * 52, 44, -22), 2.4, FLUID + 2, soft_mm=3)
        stripes = bump(np.sin(plane.y * 1.1 + np.abs(plane.x) * 0.25), 1, 0.35)
        canvas.blend(brain * low * stripes * 0.22 * (plane.y > 24), FLUID + 12)
        canvas.ellipsoid((0, 6, -26), (21, 13, 12), FLUID, soft_mm=6, mask=brain)
        canvas.ellipsoid((0, 0, -16), (15, 12, 7), FLUID, soft_mm=6, mask=brain)
        canvas.ellipsoid((0, 16, -18), (15, 12, 12), WHITE + 5, soft_mm=2.5)
        canvas.ellipsoid((0, 18, -38), (14, 13, 22), WHITE + 5, soft_mm=2.5)
        canvas.ellipsoid((0, 38, -38), (7, 5, 12), FLUID, soft_mm=2)
        canvas.ellipsoid((0, 52, -36), (5, 13, 16), GREY + 2, soft_mm=3)

    def _base(self, canvas: Canvas) -> None:
        """Petrous bones with mastoid cells, clivus, sphenoid wings and sella."""
        plane = canvas.plane
        if plane.rows_z.min() > -10:
            return
        cells = self._cells.over(plane.columns_x, plane.rows_y, plane.rows_z)
        for side in (-1, 1):
            canvas.tube((side * 14, -6, -44), (side * 58, 24, -40), 9, CORTEX_BONE, soft_mm=2)
            canvas.tube((side * 24, 2, -44), (side * 44, 14, -42), 4.5, DIPLOE, soft_mm=2)
            canvas.ellipsoid((side * 31, 6, -42), (1.8, 4, 2.5), 20, turn_deg=side * 30)
            canvas.ellipsoid((side * 57, 30, -46), (11, 17, 20), DIPLOE + 200, soft_mm=2)
            canvas.ellipsoid((side * 67, 10, -46), (9, 3, 4), AIR)
            canvas.tube((side * 14, -36, -36), (side * 56, -50, -28), 3.2, CORTEX_BONE, soft_mm=2)
        mastoid = edge(0.35 - np.abs(cells), 0.5) * bump(plane.rows_z, -46, 12)
        ring = bump(np.abs(plane.x), 57, 8) * bump(plane.y, 30, 13)
        canvas.blend(np.clip(mastoid * ring * 1.6, 0, 1), -750)
        canvas.ellipsoid((0, -8, -48), (13, 9, 13), DIPLOE, soft_mm=2)
        canvas.ellipsoid((0, -24, -42), (15, 12, 11), CORTEX_BONE - 300, soft_mm=2)
        canvas.ellipsoid((0, -25, -43), (12.5, 10, 9.5), AIR)
        canvas.ellipsoid((0, -25, -43), (0.9, 10, 9.5), CORTEX_BONE - 500)

    def _face(self, canvas: Canvas) -> None:
        """Orbits with their globes, ethmoid cells and frontal sinus."""
        if canvas.plane.rows_z.min() > 12:
            return
        canvas.ellipsoid((0, -84, -6), (19, 5, 16), CORTEX_BONE, soft_mm=2)
        canvas.ellipsoid((0, -84, -6), (16, 3.2, 13), AIR)
        canvas.ellipsoid((0, -84, -6), (0.8, 3.2, 13), CORTEX_BONE - 400)
        for side in (-1, 1):
            self._orbit(canvas, side)
        canvas.ellipsoid((0, -64, -46), (13.5, 25, 20), CORTEX_BONE - 250, soft_mm=2)
        canvas.ellipsoid((0, -64, -46), (12, 23.5, 19), AIR)
        for x in (-6.5, 0, 6.5):
            canvas.ellipsoid((x, -64, -46), (0.7, 23.5, 19), CORTEX_BONE - 600)
        for y in (-74, -63, -52):
            canvas.ellipsoid((0, y, -44), (12, 0.7, 15), CORTEX_BONE - 700)

    def _orbit(self, canvas: Canvas, side: int) -> None:
        turn = side * 16
        canvas.ellipsoid((side * 35, -60, -38), (21, 31, 19), CORTEX_BONE, turn_deg=turn, soft_mm=2)
        canvas.ellipsoid((side * 35, -61, -38), (18.5, 29, 17), FAT, turn_deg=turn)
        canvas.ellipsoid((side * 37, -96, -38), (20, 12, 17), SCALP, turn_deg=turn, soft_mm=2)
        canvas.tube((side * 36, -66, -38), (side * 16, -36, -38), 2.6, 42)
        canvas.tube((side * 24.5, -76, -38), (side * 17, -38, -38), 2.4, MUSCLE)
        canvas.tube((side * 49, -74, -38), (side * 24, -36, -38), 2.4, MUSCLE)
        canvas.ellipsoid((side * 37, -80, -38), (12.4, 12.4, 12.4), 55)
        canvas.ellipsoid((side * 37, -80, -38), (11, 11, 11), 12)
        canvas.ellipsoid((side * 38, -88.5, -38), (4.6, 2.2, 4.6), 78)

    def _holder(self, canvas: Canvas) -> None:
        plane = canvas.plane
        q = np.hypot(plane.columns_x / 94, (plane.rows_y - 4) / 108)
        behind = edge(plane.rows_y - 30 + 0 * plane.columns_x, 4)
        canvas.blend(edge(2.2 - np.abs(q - 1) * 100, 1.5) * behind, 110)
        canvas.blend(edge(3.6 - np.abs(q - 0.955) * 100, 2) * behind, -900)
