"""The public files of ../shared/dicom through the doors of running nodes, in and out.

`python -m tests.system.collection` prints the tables of docs/lossless.md anew (minutes).
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import re
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pydicom
from pydicom import uid as uids
from pydicom.errors import InvalidDicomError

from dicom_node.render.image_format import ImageFormat
from dicom_node.render.transcode import COMPRESSED, OFFERED
from pacs_common.errors import ArgensError
from pacs_common.tickets import TicketIssuer
from tests.node import lossless_survey as survey
from tests.support import roles
from tests.support.services import SHARED_DICOM
from tests.support.stow import RELATED, body

CLIENTS = 2
PARTS = 'multipart/related; type="application/dicom"'
STORED, DEFAULT = "*", "default"
ASKED = (STORED, DEFAULT, *OFFERED)
EXPLICIT = str(uids.ExplicitVRLittleEndian)
SCOPES = ["dicomweb", "dicomweb.store", "dicomweb.delete"]

TAKEN = "taken"
ASIDE = "taken and kept aside: its patient is not its study's"
NO_PART10 = "no preamble, no file meta group, or one that does not say what it is"
NOT_KEPT = "no object of a patient, or of a private class"
NO_UID = "a UID is missing, or group 0002 names another object"
DAMAGED = "cut off, damaged, or a UID that no path can hold"
BY_CODE = {0x0122: NOT_KEPT, 0xA900: NO_UID, 0xC000: DAMAGED}
BY_TEXT = {
    "not a DICOM file": NO_PART10,
    "file meta group": NO_PART10,
    "the peer does not take": NOT_KEPT,
    "0x0122": NOT_KEPT,
    "0xA900": NO_UID,
    "0xC000": DAMAGED,
}

HEADS_IN, HEAD_OUT = ["on its way in", "STOW-RS", "C-STORE"], "on its way out"
WRONG = "wrong"
NO_PIXELS = "no pixels: Explicit VR Little Endian"
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
# Lossy JPEG: how cosines are rounded is free, so the reference is the node's own decoder.
_DCT = {f"1.2.840.10008.1.2.4.{last}" for last in (50, 51, 53, 55)}
_MISLABELLED = {"sample-op.dcm"}  # lossy JPEG that says it is .70
_UNREAD = (ArgensError, *survey._UNREADABLE, RuntimeError, AttributeError)


@dataclass(frozen=True)
class Sent:
    """A file that is sent: where it lies, of which public file it was made, and its UID."""

    path: Path
    origin: Path
    uid: str

    def is_encoded_as(self, path: Path) -> bool:
        """Return whether another file has the same data set, byte for byte.

        What has an odd length gets a byte of padding on its way by C-STORE (PS3.8 E.2).
        """
        mine = data_set_bytes(self.path)
        return data_set_bytes(path) in (mine, mine + b"\0" * (len(mine) % 2))


@dataclass
class Door:
    """A running node, one of whose doors got the files, and what it said of each."""

    node: roles.Role
    web: httpx.Client
    said: dict[Path, str]
    held: dict[str, str]
    """The address of each object that is shown, by SOP Instance UID."""

    def outcomes(self, sent: Iterable[Sent]) -> Counter[str]:
        """Return what became of the files on their way in."""
        return Counter(self.outcome(one) for one in sent)

    def outcome(self, one: Sent) -> str:
        """Return what became of a file; what is taken is shown, or kept aside."""
        said = self.said.get(one.path, TAKEN)
        return ASIDE if said == TAKEN and one.uid not in self.held else said


def written(folder: Path) -> list[Sent]:
    """Write every public file into a folder; a UID that comes again is exchanged for a new one.

    Some are one image in twenty transfer syntaxes: under one UID a node would keep the first.
    """
    used: set[str] = set()
    made = []
    listed = map(json.loads, (SHARED_DICOM / "MANIFEST.jsonl").read_text().splitlines())
    origins = [SHARED_DICOM / one["path"] for one in listed]
    for number, origin in enumerate(sorted(origins, key=_is_deflated, reverse=True)):
        content = origin.read_bytes()
        uid = _uid(content)
        if uid in used:
            fresh = next(other for other in _variants(uid) if other not in used)
            content, uid = _renamed(content, uid, fresh), fresh
        used |= {uid} - {""}
        path = folder / f"{number:03d}.dcm"
        path.write_bytes(content)
        made.append(Sent(path, origin, uid))
    return made


def _is_deflated(path: Path) -> bool:
    """Return whether a file is deflated: its UID cannot be exchanged, so it comes first."""
    return b"1.2.840.10008.1.2.1.99" in path.read_bytes()[:1000]


def _uid(content: bytes) -> str:
    try:
        ds = pydicom.dcmread(io.BytesIO(content), specific_tags=["SOPInstanceUID"])
        return str(ds.get("SOPInstanceUID", ""))
    except (InvalidDicomError, EOFError, OSError):
        return ""


def _renamed(content: bytes, uid: str, fresh: str) -> bytes:
    """Return a file with another SOP Instance UID in group 0002 and in its data set."""
    place = rb"(\x02\0\x03\0UI..|\x08\0\x18\0(?:UI..|UN\0\0..\0\0|..\0\0)|\0\x08\0\x18UI..)"
    changed = re.sub(
        place + re.escape(uid.encode()) + rb"(?![0-9.])",
        lambda match: match[1] + fresh.encode(),
        content,
        flags=re.DOTALL,
    )
    assert _uid(changed) == fresh, (uid, fresh, _uid(changed))
    return changed


def _variants(uid: str) -> Iterator[str]:
    """Yield UIDs of the same length that end otherwise."""
    places = [at for at, char in enumerate(uid) if char != "."][-2:]
    for digits in itertools.product("123456789", repeat=2):
        changed = list(uid)
        for place, digit in zip(places, digits, strict=True):
            changed[place] = digit
        yield "".join(changed)


@contextlib.contextmanager
def doors(folder: Path) -> Iterator[tuple[list[Sent], Door, Door]]:
    """Send the files to a node by STOW-RS and to another by C-STORE."""
    for name in ("files", "stow", "store"):
        (folder / name).mkdir()
    sent = written(folder / "files")
    by_stow, by_store = roles.node(folder / "stow"), roles.node(folder / "store")
    with roles.running(by_stow, by_store), client(by_stow) as one, client(by_store) as other:
        said = stowed(one, sent)
        yield (
            sent,
            Door(by_stow, one, said, addresses(one)),
            Door(by_store, other, _stored(by_store, folder / "files"), addresses(other)),
        )


def client(node: roles.Role) -> httpx.Client:
    """Return a client of a node's DICOMweb with a ticket for everything."""
    trust = Path(node.env["PACS_TRUST_DIR"])
    signer = TicketIssuer.at("portal", node.folder / "portal.key", trust)
    ticket = signer.issue("CT", SCOPES, subject="tester", lifetime_s=3600)
    headers = {"Authorization": f"Bearer {ticket}"}
    return httpx.Client(base_url=f"{node.url}/dicom-web/", headers=headers, timeout=120)


def stowed(web: httpx.Client, sent: list[Sent]) -> dict[Path, str]:
    """Post each file by itself, and return what became of it."""

    def store(one: Sent) -> tuple[Path, str]:
        content = body([one.path.read_bytes()])
        answer = web.post("studies", content=content, headers={"Content-Type": RELATED})
        return one.path, _said_by_stow(answer)

    with ThreadPoolExecutor(CLIENTS) as pool:
        return dict(pool.map(store, sent))


def _said_by_stow(answer: httpx.Response) -> str:
    if answer.status_code in (200, 202):
        assert "00081198" not in answer.json(), answer.text
        return TAKEN
    assert answer.status_code == 409, answer.text
    if "0008119A" in answer.json():  # of what it is, nothing can be said
        return NO_PART10
    code = answer.json()["00081198"]["Value"][0]["00081197"]["Value"][0]
    return BY_CODE.get(code, f"0x{code:04X}")


def _stored(node: roles.Role, folder: Path) -> dict[Path, str]:
    done = node.command("send", "127.0.0.1", str(node.dicom_port), str(folder), timeout_s=300)
    refused = re.findall(rf"^({folder}/\d+\.dcm): (.*)$", done.stderr, re.MULTILINE)
    return {
        Path(path): next((said for part, said in BY_TEXT.items() if part in text), text)
        for path, text in refused
    }


def addresses(web: httpx.Client) -> dict[str, str]:
    """Return the address of each object that a server shows, by SOP Instance UID."""
    found = {}
    for study in web.get("studies?limit=1000").json():
        for one in web.get(f"studies/{study['0020000D']['Value'][0]}/instances?limit=1000").json():
            study_uid, series_uid, uid = (
                one[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018")
            )
            found[uid] = f"studies/{study_uid}/series/{series_uid}/instances/{uid}"
    return found


def outcome(door: Door, one: Sent, syntax: str, folder: Path) -> str:
    """Return what a node answers when it is asked for a file in a syntax; checks what it sends."""
    accept = PARTS if syntax == DEFAULT else f"{PARTS}; transfer-syntax={syntax}"
    answer = door.web.get(door.held[one.uid], headers={"Accept": accept})
    if answer.status_code != 200:
        said = f"{answer.status_code} {answer.json()['detail']}"
        known = (reason for part, reason in survey.REASONS.items() if part in said)
        return next(known, said) if answer.status_code == 406 else said
    named, content = only_part(answer)
    with tempfile.TemporaryDirectory(dir=folder) as own:
        path = Path(own) / "sent.dcm"
        path.write_bytes(content)
        back = pydicom.dcmread(path)
        assert named == back.file_meta.TransferSyntaxUID, f"the part says {named}"
        return _compared(one, back, path, syntax)


def only_part(answer: httpx.Response) -> tuple[str, bytes]:
    """Return the transfer syntax that the one part names, and the part."""
    boundary = re.search(r'boundary="?([^";]+)', answer.headers["Content-Type"])
    assert boundary is not None
    head, _, rest = answer.content.partition(b"\r\n\r\n")
    content, end, _ = rest.rpartition(f"\r\n--{boundary[1]}--".encode())
    assert end, "the last boundary is missing"
    named = re.search(r"transfer-syntax=\"?([0-9.]+)", head.decode())
    return named[1] if named else "", content


def _compared(one: Sent, back: pydicom.FileDataset, path: Path, asked: str) -> str:
    original = pydicom.dcmread(one.path)
    found = str(back.file_meta.TransferSyntaxUID)
    if found == original.file_meta.TransferSyntaxUID and one.is_encoded_as(path):
        return survey.AS_STORED
    survey.require_same_elements(original, back)
    plain = not any(word in original for word in _PIXELS)
    explicit = asked == DEFAULT or (plain and asked in COMPRESSED)
    assert found == (EXPLICIT if explicit else asked), found
    if plain:
        return NO_PIXELS if asked in COMPRESSED else survey.EQUAL
    wanted = _reference(original, one.origin.name)
    if wanted is None:
        return survey.REWRITTEN
    by = survey.COMMANDS.get(found, ["pydicom"])[0]
    survey._require_equal(wanted, survey._foreign(path, found), original, by)
    return survey.EQUAL


def _reference(ds: pydicom.FileDataset, name: str) -> list | None:
    """Return the samples of each frame by a decoder that is not the node's, where one reads it."""
    if ds.file_meta.TransferSyntaxUID not in _DCT and name not in _MISLABELLED:
        with contextlib.suppress(*_UNREAD):
            return survey._by_pydicom(ds, ImageFormat.of(ds))
    return survey._samples(ds)


def data_set_bytes(path: Path) -> bytes:
    """Return what follows preamble and group 0002 of a PS3.10 file."""
    with path.open("rb") as file:
        file.seek(132)
        pydicom.filereader._read_file_meta_info(file)
        return file.read()


def counted(questions: list[tuple[Door, Sent, str]], folder: Path) -> Counter[tuple[str, str]]:
    """Return how often which syntax had which outcome; two clients ask."""

    def ask(question: tuple[Door, Sent, str]) -> tuple[str, str]:
        door, one, syntax = question
        try:
            return syntax, outcome(door, one, syntax, folder)
        except AssertionError as error:
            return WRONG, f"{one.origin.name} as {syntax}: {error}"

    with ThreadPoolExecutor(CLIENTS) as pool:
        found = Counter(pool.map(ask, questions))
    wrong = [said for syntax, said in found if syntax == WRONG]
    assert not wrong, "\n".join(wrong)
    return found


def by_turns(sent: list[Sent], one: Door, other: Door) -> list[tuple[Door, Sent]]:
    """Return what the first door shows, each with a door that shows it: each in its turn."""
    shown = [file for file in sent if file.uid in one.held]
    return [
        (other if number % 2 and file.uid in other.held else one, file)
        for number, file in enumerate(shown)
    ]


def tables() -> Iterator[str]:
    """Yield the lines of both tables of docs/lossless.md."""
    with tempfile.TemporaryDirectory() as name, doors(Path(name)) as (sent, *both):
        yield from table(HEADS_IN, [door.outcomes(sent) for door in both])
        yield ""
        turns = by_turns(sent, *both)
        columns = []
        for syntax in ASKED:
            questions = [(door, file, syntax) for door, file in turns]
            counts = counted(questions, Path(name))
            columns.append(Counter({said: n for (_, said), n in counts.items()}))
        yield from table([HEAD_OUT, *map(name_of, ASKED)], columns)


def table(heads: list[str], columns: list[Counter[str]]) -> Iterator[str]:
    """Yield the lines of a table: a row for each outcome, a column for each counter."""
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    for said in dict.fromkeys(said for column in columns for said, _ in column.most_common()):
        yield f"| {said} | {' | '.join(str(column[said] or '') for column in columns)} |"


def name_of(syntax: str) -> str:
    """Return how a column of the table is called."""
    return {STORED: f"`{STORED}`", DEFAULT: DEFAULT}.get(syntax) or survey.name_of(syntax)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for line in tables():
        print(line, flush=True)
