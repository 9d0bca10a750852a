"""The texts of an object: decoded by its own set, else by its sender's, and never lost."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from dicom_node.index.attributes import ATTRIBUTES, text_of
from dicom_node.index.entry import WANTED
from dicom_node.ingest.ingest import Arrival
from dicom_node.models import Instance, Series, Study
from dicom_node.store import part10
from dicom_node.store.charsets import decode
from dicom_node.store.scan import Scanner
from dicom_node.store.texts import Coding, Texts
from pacs_common.errors import MissingUid
from tests.node.objects import EXPLICIT, ct, encoded, real_file, with_broken_values

REAL = [
    "CT_small.dcm",
    "MR_small.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_implicit.dcm",
    "rtplan.dcm",
    "image_dfl.dcm",
    "reportsi.dcm",
    "UN_sequence.dcm",
]


def texts_of(content: bytes, syntax: str = EXPLICIT, **coding: str) -> Texts:
    scanner = Scanner(syntax, WANTED)
    scanner.feed(content)
    scanner.finish()
    charset = scanner.values.get(0x00080005)
    name = charset.raw.decode() if charset else ""
    return Texts(
        scanner.values, Coding(scanner.is_implicit, scanner.is_little_endian, name, **coding)
    )


@pytest.mark.parametrize("name", REAL)
def test_the_texts_of_real_files_are_those_that_pydicom_reads(name):
    content, syntax = real_file(name)
    text = texts_of(content, syntax)
    ds = part10.parse_header(content, syntax).data_set
    paths = [a.path for a in ATTRIBUTES.values() if not a.is_derived]
    found = {path: text(path) for path in paths}
    expected = {path: _stripped(text_of(ds, path)) for path in paths}
    assert found == expected


def _stripped(text: str) -> str:
    return "\\".join(part.strip() for part in text.split("\\"))


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 192", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["ISO 2022 IR 13", "ISO 2022 IR 87"], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        ("ISO_IR 144", "Люкceмбypг"),  # noqa: RUF001
        ("ISO_IR 126", "Διονυσιος"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        ("ISO_IR 100", "Lefèvre^Hélène"),
        ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
    ],
)
def test_names_of_every_alphabet_are_decoded(charset, name):
    text = texts_of(encoded(ct(SpecificCharacterSet=charset, **ASCII | {"PatientName": name})))
    assert (text("PatientName"), text.is_guessed) == (name, False)


@pytest.mark.parametrize("charset", ["", "ISO_IR 6", "NONSENSE", "ISO_IR 192"])
@pytest.mark.parametrize(
    ("fallback", "read"), [("ISO_IR 100", "Lefèvre^Hélène"), ("ISO_IR 144", "Lefшvre^Hщlшne")]
)
def test_a_text_that_its_set_cannot_say_is_read_by_the_senders_fallback(charset, fallback, read):
    content = encoded(ct(SpecificCharacterSet="ISO_IR 100", SeriesDescription="", PatientID="é"))
    content = content.replace(b"CS\x0a\x00ISO_IR 100", _charset(charset), 1)
    text = texts_of(content, fallback_charset=fallback)
    assert (text("PatientName"), text.is_guessed) == (read, True)


def _charset(term: str) -> bytes:
    padded = term.encode() + b" " * (len(term) % 2)
    return b"CS" + len(padded).to_bytes(2, "little") + padded


def test_a_fallback_that_cannot_read_it_either_loses_nothing():
    assert decode(b"\xff\xfe", "ISO_IR 192", "ISO_IR 192") == ("ÿþ", True)
    assert decode(b"\x1b$B\xff\xff", "ISO 2022 IR 87", "ISO_IR 6")[1]


@pytest.mark.parametrize("spelled", ["ISO-IR 100", "ISO IR 100", "ISO_IR_100", "ISO_IR 100 "])
def test_a_set_that_is_misspelled_as_usual_is_known(spelled):
    assert decode(b"\xe9", spelled, "ISO_IR 144") == ("é", False)


def test_plain_ascii_is_never_a_guess():
    text = texts_of(encoded(ct(SpecificCharacterSet=None, **ASCII)))
    assert (text("PatientName"), text.is_guessed) == ("Martin", False)


ASCII = {
    "PatientName": "Martin",
    "StudyDescription": "Scan",
    "ReferringPhysicianName": "X",
}


def test_a_value_that_makes_no_sense_for_its_vr_is_absent():
    text = texts_of(with_broken_values())
    assert (text("SeriesNumber"), text("WindowCenter")) == ("", "")
    assert text("WindowWidth") == "400.0"


def test_several_items_give_one_value_each():
    def request(**values: str) -> Dataset:
        item = Dataset()
        for keyword, value in values.items():
            setattr(item, keyword, value)
        return item

    items = [request(RequestedProcedureID="R1"), request(), request(RequestedProcedureID="é")]
    for syntax in (EXPLICIT, "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"):
        text = texts_of(encoded(ct(RequestAttributesSequence=items), syntax), syntax)
        assert text("RequestAttributesSequence.RequestedProcedureID") == "R1\\\\é"
        assert text("RequestAttributesSequence.ScheduledProcedureStepID") == ""


def test_a_guess_is_flagged_on_the_instance_and_the_bytes_stay(take, ingest, layout):
    take(ct(1, SpecificCharacterSet=None, **ASCII))
    ds = ct(2, study="1.2.9", series="1.2.9.1")
    content = encoded(ds)
    del ds.SpecificCharacterSet
    ds._parent_encoding = ["latin_1"]
    broken = content[18:]  # without its Specific Character Set
    assert not broken.startswith(b"\x08\x00\x05\x00")
    ingest.take(Arrival(broken, EXPLICIT, fallback_charset="ISO_IR 100"))
    flags = dict(Instance.objects.values_list("series__study__uid", "charset_guessed"))
    assert flags == {"1.2.826.0.1.3680043.10.1361.1": False, "1.2.9": True}
    assert Study.objects.get(uid="1.2.9").patient_name == "Lefèvre^Hélène"
    row = Instance.objects.get(uid="1.2.9.1.2")
    assert layout.object(row.hour, row.uid).read_bytes().endswith(broken)


def test_the_rows_of_one_series_come_from_each_objects_own_values(take):
    take(ct(1, SeriesDescription="first"))
    take(ct(2, series="1.2.9", SeriesDescription="second", ImageLaterality="L"))
    assert set(Series.objects.values_list("description", flat=True)) == {"first", "second"}
    assert [row.shown.get("ImageLaterality", "") for row in Instance.objects.order_by("id")] == [
        "",
        "L",
    ]


def test_a_value_too_long_to_be_kept_counts_as_absent(take):
    with pytest.raises(MissingUid):
        take(ct(StudyInstanceUID=None, PatientComments="x" * 60000))
    take(ct(PatientComments="x" * 60000))
    assert Study.objects.get().patient_comments == ""
