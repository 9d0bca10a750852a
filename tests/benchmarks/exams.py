"""What the web benchmark asks for: a CT series, the same compressed, and radiographs, as files."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    ExplicitVRLittleEndian,
    JPEGLosslessSV1,
    XRayAngiographicImageStorage,
    generate_uid,
)

from tests.benchmarks import peers
from tests.benchmarks.images import Scanner
from tests.support.data_sets import ct

ROWS, COLUMNS = 2370, 1760  # the hospital's radiographs


@dataclass(frozen=True)
class Exam:
    """One series: its files, and the addresses of its instances in their order."""

    folder: Path
    series: str
    instances: list[str]
    frame_bytes: int


def slices(folder: Path, count: int, scanner: Scanner) -> Exam:
    """Write a CT series of 512 x 512, uncompressed."""
    batch = scanner.write(folder, count, 1)
    return exam(batch.folders[0])


def compressed(folder: Path, count: int, scanner: Scanner) -> Exam:
    """Write a CT series in JPEG Lossless SV1, made by DCMTK; raises Absent."""
    program = peers.program("dcmcjpeg")
    plain = scanner.write(folder / "plain", count, 1).folders[0]
    packed = folder / "packed"
    packed.mkdir()

    def pack(path: Path) -> None:
        argv = [program, "--encode-lossless-sv1", "--uid-never", str(path), str(packed / path.name)]
        subprocess.run(argv, check=True, capture_output=True)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(pack, sorted(plain.iterdir())))
    found = exam(packed)
    syntax = dcmread(next(packed.iterdir()), stop_before_pixels=True).file_meta.TransferSyntaxUID
    assert syntax == JPEGLosslessSV1
    return found


def radiographs(folder: Path, count: int) -> Exam:
    """Write a CR series of 1760 x 2370, 10 bits in 16: bones under noise."""
    folder.mkdir(parents=True)
    study, series = generate_uid(prefix=None), generate_uid(prefix=None)
    y, x = np.mgrid[-1 : 1 : ROWS * 1j, -1 : 1 : COLUMNS * 1j]
    bones = 500 * np.exp(-(x**2) * 8) + 200 * np.cos(9 * y) ** 8
    for number in range(count):
        noise = np.random.default_rng(number).normal(100, 6, (ROWS, COLUMNS))
        ds = ct(number + 1, study=study, series=series, SOPInstanceUID=generate_uid(prefix=None))
        ds.SOPClassUID, ds.Modality = ComputedRadiographyImageStorage, "CR"
        ds.Rows, ds.Columns, ds.BitsStored, ds.HighBit = ROWS, COLUMNS, 10, 9
        ds.RescaleIntercept, ds.WindowCenter, ds.WindowWidth = 0, 450, 800
        ds.PhotometricInterpretation = "MONOCHROME1"
        ds.PixelData = np.clip(bones + noise, 0, 1023).astype("<u2").tobytes()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.save_as(folder / f"{number:04d}.dcm", enforce_file_format=True)
    return exam(folder)


def angiography(folder: Path, frames: int) -> Exam:
    """Write one XA object of 1024 x 1024, 8 bits: so many frames, so many megabytes."""
    folder.mkdir(parents=True)
    side = 1024
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    vessel = 90 * (np.abs(x - 0.3 * np.sin(4 * y)) < 0.02)
    noise = np.random.default_rng(1).normal(120, 8, (side, side))
    frame = np.clip(noise - vessel, 0, 255).astype("u1").tobytes()
    uids = {name: generate_uid(prefix=None) for name in ("study", "series")}
    ds = ct(1, **uids, SOPInstanceUID=generate_uid(prefix=None), PatientID="FR-XA")
    ds.SOPClassUID, ds.Modality = XRayAngiographicImageStorage, "XA"
    ds.Rows = ds.Columns = side
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
    ds.RescaleIntercept, ds.WindowCenter, ds.WindowWidth = 0, 128, 256
    ds.NumberOfFrames, ds.FrameTime = frames, 33
    ds.PixelData = frame * frames
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.save_as(folder / "0000.dcm", enforce_file_format=True)
    return exam(folder)


def exam(folder: Path) -> Exam:
    """Return what a folder of one series holds."""
    found = []
    for path in sorted(folder.iterdir()):
        ds = dcmread(path, stop_before_pixels=True)
        series = f"studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}"
        found.append(f"{series}/instances/{ds.SOPInstanceUID}")
    return Exam(folder, series, found, int(ds.Rows) * int(ds.Columns) * int(ds.BitsAllocated) // 8)
