"""Makes the day: plans the exams, makes each one's images, writes them as DICOM files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

from pydicom import dcmwrite
from pydicom.dataset import Dataset

from dicom_node.sampleday import ct, rf
from dicom_node.sampleday.cr import Plates
from dicom_node.sampleday.plan import MAX_SCALE, Exam, exams

Progress = Callable[[int, int], None]


def make_day(
    out: Path,
    scale: float = 1.0,
    seed: int = 1,
    day: date | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Write a day's files below `out` as SOURCE/ACCESSION/SERIES-NUMBER.dcm; return their paths.

    The same scale, seed and day yield the same bytes. `progress` is told (written, total)
    after each file. Raises ValueError for a scale out of range, OSError when it cannot write.
    """
    if not 0 < scale <= MAX_SCALE:
        raise ValueError(f"scale {scale:g} is not between 0 and {MAX_SCALE:g}")
    planned = exams(scale, seed, day or date.today())
    total = sum(exam.images for exam in planned)
    plates = Plates(seed)
    written: list[Path] = []
    for exam in planned:
        for dataset in _images(exam, plates):
            written.append(_write(out / exam.source / exam.accession_number, dataset))
            if progress is not None:
                progress(len(written), total)
    return written


def _images(exam: Exam, plates: Plates) -> Iterator[Dataset]:
    makers: dict[str, Callable[[Exam], Iterator[Dataset]]] = {
        "head": ct.head_study,
        "chest": ct.chest_study,
        "swallow": rf.loop_study,
        "swallow-multiframe": rf.multiframe_study,
        "chest-film": plates.chest_study,
        "right-hand": plates.hand_study,
        "both-hands": plates.hand_study,
    }
    return makers[exam.kind](exam)


def _write(folder: Path, dataset: Dataset) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{dataset.SeriesNumber}-{int(dataset.InstanceNumber):04d}.dcm"
    dcmwrite(path, dataset, enforce_file_format=True)
    return path
