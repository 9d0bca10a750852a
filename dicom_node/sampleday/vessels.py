"""The vessels of two lungs: trees that fill space, then discs in each plane that cuts them."""

from __future__ import annotations

import numpy as np

from dicom_node.sampleday.phantom import Array, Canvas

STEP_MM = 0.9
TWIGS_PER_LUNG = 850
_ROOTS = {-1: (-36.0, 10.0, -4.0), 1: (42.0, 14.0, 0.0)}  # the hila
_CENTRE, _REACH = (70.0, 4.0, 0.0), (56.0, 74.0, 122.0)


class VesselTree:
    """Points along every branch with the radius there: (n, 4) as x, y, z, r in mm."""

    def __init__(self, rng: np.random.Generator) -> None:
        lungs = [_grown(rng, side, np.array(root)) for side, root in _ROOTS.items()]
        self.points: Array = np.concatenate(lungs).astype(np.float32)

    def paint(self, canvas: Canvas, value: float, mask: Array) -> None:
        """Paint what the plane cuts, only where `mask` (the lungs) allows."""
        plane = canvas.plane
        z = float(plane.rows_z[plane.rows_z.size // 2, 0])
        near = self.points[np.abs(self.points[:, 2] - z) < self.points[:, 3] + 1.0]
        if len(near):
            canvas.blend(_discs(canvas, near, z) * mask, value)


def _grown(rng: np.random.Generator, side: int, root: np.ndarray) -> np.ndarray:
    """Join random points of a lung, nearest to the hilum first, each to the tree so far."""
    directions = rng.normal(size=(TWIGS_PER_LUNG, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    depth = rng.uniform(0.02, 1, (TWIGS_PER_LUNG, 1)) ** (1 / 3)
    targets = directions * depth * _REACH + np.multiply(_CENTRE, (side, 1, 1))
    order = np.argsort(np.linalg.norm(targets - root, axis=1))
    tree = root[None, :]
    for target in targets[order]:
        gaps = np.linalg.norm(tree - target, axis=1)
        joint = tree[np.argmin(gaps + 0.25 * np.linalg.norm(tree - root, axis=1))]
        tree = np.concatenate([tree, _branch(rng, joint, target)])
    away = np.linalg.norm(tree - root, axis=1)
    return np.column_stack([tree, np.maximum(0.75, 5.0 * np.exp(-away / 46))])


def _branch(rng: np.random.Generator, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    length = float(np.linalg.norm(end - start))
    t = np.linspace(0, 1, max(2, int(length / STEP_MM)))[1:, None]
    bend = rng.normal(0, 0.12 * length, 3)
    return np.asarray(start + t * (end - start) + 4 * t * (1 - t) * bend / 2)


def _discs(canvas: Canvas, near: Array, z: float) -> Array:
    plane = canvas.plane
    pixel = plane.spacing_mm
    reach = int(np.ceil((float(near[:, 3].max()) + 0.6) / pixel))
    offsets = np.arange(-reach, reach + 1)
    columns = np.rint((near[:, 0] - plane.origin[0]) / pixel).astype(int)
    rows = np.rint((near[:, 1] - plane.origin[1]) / pixel).astype(int)
    dx = (columns[:, None] + offsets) * pixel + plane.origin[0] - near[:, :1]
    dy = (rows[:, None] + offsets) * pixel + plane.origin[1] - near[:, 1:2]
    dz = (near[:, 2] - z)[:, None, None]
    distance = np.sqrt(dy[:, :, None] ** 2 + dx[:, None, :] ** 2 + dz**2)
    cover = np.clip((near[:, 3, None, None] - distance) / 1.0 + 0.5, 0, 1)
    return _largest(plane.x.shape, rows[:, None] + offsets, columns[:, None] + offsets, cover)


def _largest(shape: tuple[int, ...], rows: Array, columns: Array, cover: Array) -> Array:
    height, width = shape
    inside_rows, inside_columns = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
    flat = (inside_rows[:, :, None] * width + inside_columns[:, None, :]).ravel()
    weights = cover.ravel()
    painted = np.flatnonzero(weights > 0)
    result = np.zeros(height * width, np.float32)
    np.maximum.at(result, flat[painted], weights[painted].astype(np.float32))
    return result.reshape(shape)
