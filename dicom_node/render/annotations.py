"""Who and how, written onto a picture where a caller asks for it (PS3.18 8.3.5.1.1)."""

from __future__ import annotations

from pydicom.dataset import Dataset

from dicom_node.render.attributes import decimals, values
from dicom_node.render.codecs import Array
from dicom_node.render.graphics import Canvas
from dicom_node.render.placement import Placement
from dicom_node.render.windows import Window

KINDS = ("patient", "technique")
_MOST_CHARS = 60  # of one line
_TECHNIQUE = (
    ("KVP", "{:g} kV"),
    ("XRayTubeCurrent", "{:g} mA"),
    ("Exposure", "{:g} mAs"),
    ("RepetitionTime", "TR {:g} ms"),
    ("EchoTime", "TE {:g} ms"),
    ("SliceThickness", "thickness {:g} mm"),
    ("SliceLocation", "position {:g} mm"),
)


def annotated(
    picture: Array, ds: Dataset, index: int, kinds: tuple[str, ...], window: Window | None
) -> Array:
    """Return the picture with the patient at its top left, the technique at its bottom left."""
    if not kinds:
        return picture
    canvas = Canvas(picture, Placement.whole(picture.shape[1], picture.shape[0]))
    margin = max(2, min(picture.shape[:2]) // 80)
    if "patient" in kinds:
        canvas.words("\n".join(patient_lines(ds)), (margin, margin))
    if "technique" in kinds:
        words = "\n".join(technique_lines(ds, index, window))
        canvas.words(words, (margin, picture.shape[0] - margin), side="ld")
    return canvas.picture


def patient_lines(ds: Dataset) -> list[str]:
    """Return name, ID, birth date with sex, and the date of the study."""
    name = " ".join(part for part in _text(ds, "PatientName").split("=")[0].split("^") if part)
    birth = " ".join(_text(ds, keyword) for keyword in ("PatientBirthDate", "PatientSex"))
    lines = [name, _text(ds, "PatientID"), birth.strip(), _text(ds, "StudyDate")]
    return [line[:_MOST_CHARS] for line in lines if line]


def technique_lines(ds: Dataset, index: int, window: Window | None) -> list[str]:
    """Return modality, series and image, how the image was made, and the window shown."""
    image = f"series {_text(ds, 'SeriesNumber')} image {_text(ds, 'InstanceNumber')}"
    if decimals(ds, "NumberOfFrames")[:1] > [1.0]:
        image += f" frame {index + 1}"
    made = [
        form.format(found[0]) for keyword, form in _TECHNIQUE if (found := decimals(ds, keyword))
    ]
    lines = [f"{_text(ds, 'Modality')} {_text(ds, 'SeriesDescription')}".strip(), image]
    lines += ["  ".join(made)] if made else []
    if window is not None:
        lines.append(f"C {window.center:g}  W {window.width:g}")
    return [line[:_MOST_CHARS] for line in lines]


def _text(ds: Dataset, keyword: str) -> str:
    found = values(ds, keyword)
    joined = " ".join(str(value) for value in found) if keyword != "PatientName" else ""
    if keyword == "PatientName":
        joined = str(ds.get(keyword) or "")
    return "".join(char for char in joined if char.isprintable()).strip()
