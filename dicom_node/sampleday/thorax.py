"""A chest for CT after injection: wall, ribs, spine, lungs, vessels, heart, upper abdomen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dicom_node.sampleday.phantom import Array, Canvas, Plane, Waves, bump, edge, plane_at
from dicom_node.sampleday.vessels import VesselTree

AIR, LUNG, FAT, WATER, MUSCLE, LIVER = -1000.0, -860.0, -100.0, 8.0, 52.0, 95.0
ENHANCED, VEIN, CORTEX, MARROW, CARTILAGE = 210.0, 170.0, 720.0, 190.0, 110.0
TOP_MM, BOTTOM_MM = 132.0, -142.0
FIELD_MM = 380.0
RIB_PITCH_MM, RIB_DROP_MM, VERTEBRA_MM = 23.0, 74.0, 24.0


@dataclass(frozen=True)
class Build:
    """What differs between chests."""

    width: float
    depth: float
    fat_mm: float
    heart: float
    diaphragm_mm: float


class Thorax:
    """One invented chest; `slice_at` gives Hounsfield units without noise."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.build = Build(
            rng.uniform(0.95, 1.06),
            rng.uniform(0.94, 1.06),
            rng.uniform(9, 20),
            rng.uniform(0.9, 1.15),
            rng.uniform(-84, -70),
        )
        self._warp = (Waves(rng, 6, 110), Waves(rng, 6, 110))
        self._mottle = Waves(rng, 10, 18)
        self._lobules = Waves(rng, 12, 11)
        self._tree = VesselTree(rng)

    def plane(self, z_mm: float, size: int) -> Plane:
        """Return the axial plane `z_mm` above the carina."""
        return plane_at(z_mm, size, FIELD_MM, 12.0, 0.0, self._warp, 2.2)

    def slice_at(self, plane: Plane) -> Array:
        """Return the slice's Hounsfield units."""
        z = float(plane.rows_z.mean())
        canvas = Canvas(plane, AIR)
        self._couch(canvas)
        self._wall(canvas, z)
        self._shoulders(canvas, z)
        cavity = self._cavity(plane, z)
        self._abdomen(canvas, cavity, z)
        lungs = self._lungs(canvas, cavity, z)
        self._ribs(canvas, cavity, z)
        self._tree.paint(canvas, VEIN, lungs)
        self._mediastinum(canvas)
        self._airways(canvas)
        self._spine(canvas, z)
        self._sternum(canvas, z)
        return canvas.hu

    def _semi_axes(self, z: float) -> tuple[float, float]:
        shoulder = 1 / (1 + np.exp(-(z - 96) / 9))
        neck = 1 / (1 + np.exp(-(z - 128) / 5))
        half_width = (163 + 10 * shoulder - 26 * neck + 0.04 * z) * self.build.width
        half_depth = (118 - 14 * shoulder - 12 * neck) * self.build.depth
        return half_width + self.build.fat_mm - 14, half_depth + self.build.fat_mm - 14

    def _inside(self, plane: Plane, half_width: float, half_depth: float) -> Array:
        """Return depth (mm) below a slightly square ellipse."""
        u, v = (plane.x / half_width) ** 2, (plane.y / half_depth) ** 2
        u, v = np.minimum(u, 2), np.minimum(v, 2)
        q = np.sqrt(np.maximum(u + v - 0.42 * u * v, 0))
        return np.asarray((1 - q) * min(half_width, half_depth))

    def _wall(self, canvas: Canvas, z: float) -> None:
        plane = canvas.plane
        depth = self._inside(plane, *self._semi_axes(z))
        texture = self._mottle.over(plane.columns_x, plane.rows_y, plane.rows_z)
        canvas.blend(edge(depth, 1.2), 15)
        canvas.blend(edge(depth - 2, 1.2), FAT + 5 * texture)
        muscle = edge(depth - self.build.fat_mm + 1.5 * texture, 2)
        canvas.blend(muscle, MUSCLE + 4 * texture)
        between = bump(depth - self.build.fat_mm, 9 + 2.5 * texture, 1.1)
        back = 0.35 + 0.65 * edge(np.abs(plane.x) - 60, 40)
        canvas.blend(muscle * between * back, FAT + 40)
        for side in (-1, 1):
            canvas.ellipsoid((side * 28, 94, z), (24, 15, 30), MUSCLE + 6, soft_mm=2)
            canvas.ellipsoid((side * 28, 110, z), (22, 1.8, 30), FAT + 20, soft_mm=2)

    def _shoulders(self, canvas: Canvas, z: float) -> None:
        for side in (-1, 1):
            canvas.tube((side * 72, 92, 100), (side * 128, 52, 96), 4.2, CORTEX - 150)
            canvas.tube((side * 78, 94, 20), (side * 74, 92, 110), 4.4, CORTEX - 150)
            canvas.tube((side * 104, 74, 30), (side * 104, 72, 110), 3.0, CORTEX - 250)
            canvas.tube((side * 78, 94, 20), (side * 128, 52, 96), 3.6, CORTEX - 250)
            canvas.ellipsoid((side * 138, 26, 132), (24, 23, 28), CORTEX, soft_mm=2)
            canvas.ellipsoid((side * 138, 26, 132), (21, 20, 25), MARROW + 40, soft_mm=3)
            canvas.tube((side * 20, -58, 106), (side * 118, -4, 130), 7, CORTEX)
            canvas.tube((side * 20, -58, 106), (side * 118, -4, 130), 4.2, MARROW)
            canvas.tube((side * 36, -48, 92), (side * 120, -30, 112), 5, VEIN + 40 * (side > 0))

    def _cavity(self, plane: Plane, z: float) -> Array:
        """Return depth (mm) inside the rib cage's inner surface (negative outside)."""
        wide, deep = 122 * self.build.width, 82 * self.build.depth
        apex = np.sqrt(max(1e-3, 1 - max(0.0, (z - 20) / 116) ** 2))
        flare = 1 + 0.06 * np.clip(-(z + 20) / 100, 0, 1)
        return self._inside(plane, wide * flare * max(apex, 0.05), deep * (0.35 + 0.65 * apex))

    def _lungs(self, canvas: Canvas, cavity: Array, z: float) -> Array:
        plane = canvas.plane
        dome = self._dome(plane)
        centre = (
            9
            + 20 * bump(plane.y, 8, 30)
            + 20 * bump(plane.y, 62, 18)
            + 12 * bump(plane.y, -70, 12) * (z < 20)
        )
        mediastinum = edge(np.abs(plane.x - 2) - centre, 1.5)
        lungs = edge(cavity - 2, 1.4) * mediastinum * edge(z - dome, 5)
        for heart, radii in self._heart_shapes():
            shape = Canvas(plane, 0.0)
            shape.ellipsoid(heart, radii, 1.0, turn_deg=28)
            lungs = lungs * (1 - shape.hu)
        lobules = self._lobules.over(plane.columns_x, plane.rows_y, plane.rows_z)
        gravity = 55 * np.clip((plane.y + 60) / 130, 0, 1)
        canvas.blend(lungs, (LUNG + gravity + 9 * lobules).astype(np.float32))
        self._fissures(canvas, lungs, z)
        return lungs

    def _fissures(self, canvas: Canvas, lungs: Array, z: float) -> None:
        plane = canvas.plane
        for side in (-1, 1):
            oblique = plane.y - (38 - 0.75 * (z + 20)) + 0.18 * np.abs(plane.x)
            canvas.blend(lungs * bump(oblique, 0, 0.8) * 0.25 * (side * plane.x > 0), -500)

    def _dome(self, plane: Plane) -> Array:
        """Return the height of the diaphragm above each point, right side higher."""
        right = np.clip(((plane.x + 72) / 78) ** 2 + ((plane.y - 2) / 84) ** 2, 0, 2.5)
        left = np.clip(((plane.x - 72) / 78) ** 2 + ((plane.y - 6) / 84) ** 2, 0, 2.5)
        base = self.build.diaphragm_mm
        return np.where(plane.x < 0, base - 46 * right + 12, base - 46 * left).astype(np.float32)

    def _abdomen(self, canvas: Canvas, cavity: Array, z: float) -> None:
        plane = canvas.plane
        inside = edge(cavity - 3, 1.5)
        canvas.blend(inside, FAT + 12)
        if z > self.build.diaphragm_mm + 18:
            return
        texture = self._mottle.over(plane.columns_x, plane.rows_y, plane.rows_z)
        below = edge(self._dome(plane) - 3 - z, 4) * inside
        body = edge(52 - plane.x - 0.35 * (plane.y + 30) + 4 * texture, 3)
        canvas.blend(below * body * edge(cavity - 5, 2), LIVER + 3 * texture)
        for x, y in ((-50, 0), (-72, 26), (-34, -28), (-88, -8)):
            canvas.tube((-20, 10, -150), (x, y, -100), 3.6, LIVER + 60, mask=below, soft_mm=2)
        low = z + 118
        canvas.ellipsoid((88, 46, -118), (28, 36, 46), LIVER + 35, turn_deg=-28, mask=below)
        canvas.ellipsoid((66, -22, -122), (37, 40, 44), 30, turn_deg=18, mask=below)
        if abs(low) < 40:
            canvas.ellipsoid((66, -36, -122), (29, 20, 36), AIR + 20, turn_deg=10, mask=below)

    def _ribs(self, canvas: Canvas, cavity: Array, z: float) -> None:
        plane = canvas.plane
        angle = np.arctan2(np.abs(plane.x), plane.y)  # 0 at the spine, pi at the sternum
        drop = RIB_DROP_MM * (1 - np.cos(np.clip(angle, 0, 2.5) / 2.5 * np.pi)) / 2
        phase = np.mod((z + drop) / RIB_PITCH_MM, 1) - 0.5
        radial = (cavity + 5.5) / 4.2
        lengthwise = phase * RIB_PITCH_MM / 5.6
        q = np.sqrt(radial**2 + lengthwise**2)
        sides = edge(np.abs(plane.x) - 22, 3)
        rib = edge((1 - q) * 4.2, 1.3) * sides
        marrow = edge((0.62 - q) * 4.2, 1.5) * sides
        bone = edge((2.45 - angle) * 60, 8)
        canvas.blend(rib, CARTILAGE * (1 - bone) + CORTEX * bone)
        canvas.blend(marrow * bone, MARROW + 60)

    def _heart_shapes(self) -> list[tuple[tuple[float, float, float], tuple[float, float, float]]]:
        size = self.build.heart
        return [
            ((27, -22, -52), (54 * size, 41 * size, 46 * size)),
            ((4, 2, -34), (42 * size, 32 * size, 38 * size)),
        ]

    def _mediastinum(self, canvas: Canvas) -> None:
        """Heart with its chambers, aorta, pulmonary arteries, vena cava, oesophagus."""
        for heart, radii in self._heart_shapes():
            canvas.ellipsoid(heart, radii, MUSCLE + 45, turn_deg=28, soft_mm=2)
        canvas.ellipsoid((42, -8, -56), (27, 15, 29), ENHANCED + 10, turn_deg=34, soft_mm=5)
        canvas.ellipsoid((8, -42, -54), (34, 14, 27), VEIN, turn_deg=22, soft_mm=5)
        canvas.ellipsoid((-24, -12, -48), (21, 21, 27), VEIN, soft_mm=5)
        canvas.ellipsoid((8, 20, -36), (27, 13, 20), ENHANCED, soft_mm=5)
        self._aorta(canvas)
        canvas.tube((15, -38, -30), (14, -26, 6), 13.5, VEIN + 20, soft_mm=2)
        canvas.tube((14, -26, 6), (-44, 4, -2), 10.5, VEIN + 20, soft_mm=2)
        canvas.tube((14, -26, 6), (46, 16, 6), 10.5, VEIN + 20, soft_mm=2)
        canvas.tube((-27, -16, -20), (-24, -16, 78), 8.5, VEIN + 50, soft_mm=2)
        canvas.tube((-24, -16, 78), (26, -34, 92), 6.5, VEIN + 30, soft_mm=2)
        canvas.tube((-3, 34, -150), (-2, 26, 140), 7.0, 38, soft_mm=2)
        canvas.ellipsoid((-2, 29, 20), (2.2, 1.4, 30), -400)
        canvas.tube((-12, 44, -150), (-10, 46, 40), 3.6, VEIN - 20)
        for node in ((-12, -12, 26), (22, -6, 22), (-16, 4, 6)):
            canvas.ellipsoid(node, (5, 3.2, 4), MUSCLE + 5)

    def _aorta(self, canvas: Canvas) -> None:
        arch = [
            (4.0, -16.0, -26.0), (-14.0, -26.0, 10.0), (-12.0, -22.0, 36.0), (0.0, -4.0, 50.0),
            (16.0, 20.0, 50.0), (22.0, 40.0, 34.0), (23.0, 46.0, 0.0), (14.0, 44.0, -100.0),
            (8.0, 42.0, -160.0),
        ]  # fmt: skip
        radii = (15.5, 15.5, 15, 14, 12.5, 12, 11.5, 11)
        for start, end, radius in zip(arch, arch[1:], radii, strict=False):
            canvas.tube(start, end, radius, ENHANCED, soft_mm=2)
        for x, y in ((-10, -14), (2, -4), (13, 6)):
            canvas.tube((x, y, 50), (x * 1.7, y, 132), 5.0, ENHANCED, soft_mm=2)
        canvas.ellipsoid((28, 26, 48), (3.2, 1.6, 3), 620)

    def _airways(self, canvas: Canvas) -> None:
        branches = [
            ((0, 8, 150), (0, 12, 14), 9.0),
            ((0, 12, 14), (-32, 16, -8), 7.2), ((0, 12, 14), (38, 20, -10), 6.6),
            ((-32, 16, -8), (-48, 18, -48), 5.0), ((38, 20, -10), (52, 26, -50), 4.8),
            ((-26, 14, -2), (-54, 6, 22), 4.2), ((36, 18, -6), (58, 6, 20), 4.0),
            ((-48, 18, -48), (-68, 40, -90), 3.0), ((52, 26, -50), (72, 46, -90), 3.0),
            ((-48, 18, -48), (-62, -18, -80), 2.8),
        ]  # fmt: skip
        for start, end, radius in branches:
            canvas.tube(start, end, radius + 1.5, MUSCLE - 20)
        for start, end, radius in branches:
            canvas.tube(start, end, radius, AIR + 15)

    def _spine(self, canvas: Canvas, z: float) -> None:
        beat = np.mod(z / VERTEBRA_MM, 1) - 0.5
        disc = float(np.clip((abs(beat) - 0.36) * 12, 0, 1))
        body = MARROW * (1 - disc) + 85 * disc
        shell = CORTEX * (1 - disc) + 110 * disc
        canvas.ellipsoid((0, 58, z), (19.5, 16, 50), shell, soft_mm=1.5)
        canvas.ellipsoid((0, 58, z), (17.6, 14.2, 50), body, soft_mm=2)
        arch = 1.0 - 0.75 * float(np.clip((abs(beat) - 0.22) * 8, 0, 1))
        for side in (-1, 1):
            canvas.tube((side * 12, 68, z), (side * 13, 81, z), 4.5 * arch, CORTEX - 60)
            canvas.tube((side * 12, 83, z), (side * 36, 88, z), 5.2 * arch, CORTEX - 160)
            canvas.tube((side * 13, 81, z), (0, 92, z), 3.8 * arch, CORTEX - 60)
        canvas.tube((0, 92, z), (0, 108, z), 3.4 * arch + 0.6, CORTEX - 120)
        canvas.ellipsoid((0, 80, z), (10.5, 9.5, 50), FAT + 70)
        canvas.ellipsoid((0, 80, z), (6.5, 5.2, 50), 34)

    def _sternum(self, canvas: Canvas, z: float) -> None:
        if not -95 < z < 98:
            return
        y = -(84 * self.build.depth) + 22 * max(0.0, (z - 20) / 78) ** 1.5 - 3
        half = 25 if z > 55 else 17
        canvas.ellipsoid((0, y, z), (half, 6.5, 40), CORTEX - 150, soft_mm=1.5)
        canvas.ellipsoid((0, y, z), (half - 2.5, 4.6, 40), MARROW - 40, soft_mm=2)

    def _couch(self, canvas: Canvas) -> None:
        plane = canvas.plane
        top = plane.rows_y - 126 * self.build.depth + (plane.columns_x / 46) ** 2
        reach = edge(205 - np.abs(plane.columns_x) + 0 * plane.rows_y, 3)
        canvas.blend(edge(12 - np.abs(top - 14), 1.5) * reach, -930)
        canvas.blend(edge(1.1 - np.abs(np.abs(top - 14) - 12), 1.2) * reach, 40)
