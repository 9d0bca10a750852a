"""Two objects made in code: a loop whose frames differ, and a PDF of one page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom import Dataset, FileMetaDataset, dcmwrite
from pydicom.uid import ExplicitVRLittleEndian

STUDY = "2.25.19990101"
PATIENT = "Téléverse^Léa"
LOOP_FRAMES, SIDE = 24, 128
ULTRASOUND_LOOP = "1.2.840.10008.5.1.4.1.1.3.1"
ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"


def loop(folder: Path) -> Path:
    """Write an ultrasound loop: a disc that walks to the right."""
    made = _instance(1, "US", ULTRASOUND_LOOP)
    made.NumberOfFrames, made.FrameTime, made.FrameIncrementPointer = LOOP_FRAMES, 40, 0x00181063
    made.Rows = made.Columns = SIDE
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelRepresentation, made.SamplesPerPixel = 7, 0, 1
    made.PhotometricInterpretation = "MONOCHROME2"
    y, x = np.mgrid[:SIDE, :SIDE]
    frames = [
        np.where(np.hypot(x - 20 - 4 * n, y - SIDE / 2) < 15, 230, 30) for n in range(LOOP_FRAMES)
    ]
    made.PixelData = np.stack(frames).astype(np.uint8).tobytes()
    return _written(folder / "loop.dcm", made)


def pdf(folder: Path) -> Path:
    """Write an encapsulated PDF of one page with a line of text."""
    made = _instance(2, "DOC", ENCAPSULATED_PDF)
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.DocumentTitle, made.BurnedInAnnotation = "Compte rendu", "YES"
    content = _page("Compte rendu d'examen")
    made.EncapsulatedDocumentLength = len(content)
    made.EncapsulatedDocument = content + b"\0" * (len(content) % 2)
    return _written(folder / "report.dcm", made)


def _instance(series: int, modality: str, sop_class: str) -> Dataset:
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    made.SOPClassUID, made.SOPInstanceUID = sop_class, f"{STUDY}.{series}.1"
    made.StudyInstanceUID, made.SeriesInstanceUID = STUDY, f"{STUDY}.{series}"
    made.PatientName, made.PatientID, made.PatientSex = PATIENT, "FR-UPLOAD", "F"
    made.PatientBirthDate, made.StudyDate, made.StudyTime = "19700101", "20261121", "101500"
    made.Modality, made.SeriesNumber, made.InstanceNumber = modality, series, 1
    made.StudyDescription, made.SeriesDescription = "Échographie", f"Série {modality}"
    made.AccessionNumber = made.StudyID = "U1"
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return made


def _written(path: Path, made: Dataset) -> Path:
    dcmwrite(path, made, enforce_file_format=True)
    return path


def _page(line: str) -> bytes:
    drawing = f"BT /F1 24 Tf 72 720 Td ({line}) Tj ET".encode("latin-1")
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R"
        b"/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n" % len(drawing) + drawing + b"\nendstream",
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    made, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj" % number + body + b"endobj\n"
    start = len(made)
    made += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    made += b"".join(b"%010d 00000 n \n" % place for place in places)
    made += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(made)
