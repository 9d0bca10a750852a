"""Metadata of a series as it leaves: one gzipped JSON array, kept until the series changes.

Its tag is a digest of the index rows that it is made of, so nobody has to tell of a change: an
arrival, an eviction, a recall, a rejection or another transfer syntax at rest changes the rows.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from dicom_node.config import CONFIG
from dicom_node.index import wanted
from dicom_node.index.attributes import Level
from dicom_node.metadata.json_model import JsonWriter
from dicom_node.metadata.walk import object_of
from dicom_node.models import Instance, Series, Study
from dicom_node.prepared.intact import require_intact
from dicom_node.render.cache import KeptFiles
from dicom_node.render.image_format import NATIVE
from dicom_node.store import blobs
from dicom_node.store.layout import OBJECT, STUB, Layout
from pacs_common import VERSION
from pacs_common.availability import Availability
from pacs_common.errors import ArgensError, NotDicom, Unavailable
from pacs_common.resources import resource_path

LOG = logging.getLogger(__name__)
LAYOUT = Layout(CONFIG.data_dir)
ROOT = "/dicom-web"  # at the portal as at the node: see `address_of`
GZIP_LEVEL = 6
_SHARE = 16  # of what renditions may take
_FORMAT = f"1 {VERSION}"  # changes what is made of the same rows
_ETAG_CHARS, _DIGEST_BYTES = 34, hashlib.sha256().digest_size
_PIXELS = 0x7FE00010
# What the JSON of an instance depends on.
_COLUMNS = (
    *("series__uid", "uid", "hour", "availability", "damaged"),
    *("transfer_syntax", "size_bytes", "received_sha256"),
    "series__study__overlay",
)
KEPT = KeptFiles(LAYOUT.metadata, CONFIG.rendition_cache_bytes // _SHARE)


@dataclass(frozen=True)
class Prepared:
    """A series' metadata: a gzipped JSON array of its instances, and its strong tag.

    The tag is blank where an instance's file is damaged or lost and its row does not tell: then
    the same rows give another answer when the file is back, and nothing is kept.
    """

    etag: str
    gzipped: bytes

    def text(self) -> bytes:
        """Return the JSON array in UTF-8."""
        return gzip.decompress(self.gzipped)


def of_series(series: Series) -> Prepared:
    """Return the metadata of a series, made now where it is not prepared or has changed."""
    study_uid = series.study.uid
    return of(study_uid, series.uid, revisions(study_uid, series.uid).get(series.uid, tag_of([])))


def prepare(study: Study) -> None:
    """Make the metadata of every series of a study that has none or has changed."""
    for series_uid, etag in revisions(study.uid).items():
        of(study.uid, series_uid, etag)


def revisions(study_uid: str, series_uid: str = "") -> dict[str, str]:
    """Return the tag of each series of a study (or of one series), in their order."""
    rows = _instances(study_uid, series_uid).values_list(*_COLUMNS)
    grouped = groupby(rows, key=itemgetter(0))
    return {series_uid: tag_of(row[1:] for row in of_one) for series_uid, of_one in grouped}


def revision_of(instance: Instance) -> str:
    """Return the tag of one instance's metadata."""
    own = [getattr(instance, column) for column in _COLUMNS[1:-1]]
    return tag_of([(*own, instance.series.study.overlay)])


def tag_of(rows: Iterable[tuple[Any, ...]]) -> str:
    """Return a strong, quoted tag of what metadata is made of."""
    digest = hashlib.sha256(_FORMAT.encode())
    for row in rows:
        digest.update(repr(row).encode())
    return f'"{digest.hexdigest()[: _ETAG_CHARS - 2]}"'


def of(study_uid: str, series_uid: str, etag: str) -> Prepared:
    """Return the metadata of a series whose tag is known; of many that ask, one makes it."""
    path = KEPT.path(f"{study_uid}/{series_uid}")
    kept = _read(path, etag)
    if kept is None:
        with _turn(path.parent):
            kept = _read(path, etag) or _made(path, study_uid, series_uid, etag)
    return kept


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """Wait until nobody else makes what is kept in a folder; a full disk lets all go on."""
    try:
        with blobs.disk_errors():
            folder.mkdir(parents=True, exist_ok=True)  # lost with a power cut, it is made again
    except Unavailable:
        yield
        return
    with blobs.locked(folder, exclusive=True):
        yield


def written(instance: Instance, writer: JsonWriter | None = None) -> str:
    """Return one instance's metadata as a JSON object, after eviction that of its stub.

    Raises ArgensError where its file is missing or damaged.
    """
    writer, told = writer or JsonWriter(), _told(instance)
    for suffix in (OBJECT, STUB):
        path = LAYOUT.object(instance.hour, instance.uid, suffix)
        if suffix == STUB and instance.rows:  # its pixels have an address, though they are away
            told[_PIXELS] = _away(instance)
        try:
            if suffix == OBJECT:
                require_intact(path, instance.received_sha256, instance.verified)
            text = writer.written(path, address_of(instance), told, instance.series.study.overlay)
            if suffix == OBJECT:  # and it was all the while
                require_intact(path, instance.received_sha256, instance.verified)
            return text
        except FileNotFoundError:
            continue
        except NotDicom as error:
            raise ArgensError(f"the stored file is damaged: {error}") from None
    raise ArgensError("neither the file nor its stub is on the node's disk")


def address_of(instance: Instance) -> str:
    """Return what precedes the paths of an instance's bulk data.

    It names no host: a browser resolves it against whichever door it asked, node or portal (RFC
    3986 4.2), and it is the same below the address of a study, a series and an instance.
    """
    series = instance.series
    return f"{ROOT}/{resource_path(series.study.uid, series.uid, instance.uid)}/bulkdata/"


def _made(path: Path, study_uid: str, series_uid: str, etag: str) -> Prepared:
    found = list(_objects(study_uid, series_uid))
    text = "[" + ",\n".join(text for text, _ in found) + "]"
    gzipped = gzip.compress(text.encode("utf-8", "replace"), GZIP_LEVEL, mtime=0)
    if not all(is_lasting for _, is_lasting in found):
        return Prepared("", gzipped)
    if revisions(study_uid, series_uid).get(series_uid) == etag:  # else rows changed meanwhile
        tagged = etag.encode() + gzipped
        KEPT.keep(path, [hashlib.sha256(tagged).digest(), tagged])
    return Prepared(etag, gzipped)


def _read(path: Path, etag: str) -> Prepared | None:
    """Return what is kept, None where that is nothing, of another revision, or damaged."""
    try:
        stored = path.read_bytes()
    except OSError:
        return None
    digest, tagged = stored[:_DIGEST_BYTES], stored[_DIGEST_BYTES:]
    if tagged[:_ETAG_CHARS] != etag.encode() or hashlib.sha256(tagged).digest() != digest:
        return None
    return Prepared(etag, tagged[_ETAG_CHARS:])


def _objects(study_uid: str, series_uid: str) -> Iterator[tuple[str, bool]]:
    """Yield the JSON of a series' instances, and whether it lasts as long as their rows do.

    Of a damaged one it is what the index knows.
    """
    writer = JsonWriter()
    for instance in _instances(study_uid, series_uid).iterator():
        try:
            yield written(instance, writer), True
        except ArgensError as error:
            LOG.warning("metadata from the index alone", extra={"reason": str(error)})
            yield _from_index(instance), instance.damaged


def _instances(study_uid: str, series_uid: str) -> Any:
    keys = {"StudyInstanceUID": study_uid}
    if not series_uid:
        return wanted.instances(Level.STUDY, keys)
    return wanted.instances(Level.SERIES, keys | {"SeriesInstanceUID": series_uid})


def _told(instance: Instance) -> dict[int, str]:
    """Return what the node tells of an instance: availability and transfer syntax (PS3.18 8.7)."""
    return {
        0x00080056: _attribute("CS", str(instance.availability)),
        0x00083002: _attribute("UI", instance.transfer_syntax),
    }


def _from_index(instance: Instance) -> str:
    told = _told(instance) | {
        0x00080016: _attribute("UI", instance.sop_class),
        0x00080018: _attribute("UI", instance.uid),
        0x00080056: _attribute("CS", str(Availability.UNAVAILABLE)),
        0x00080060: _attribute("CS", instance.series.modality),
        0x0020000D: _attribute("UI", instance.series.study.uid),
        0x0020000E: _attribute("UI", instance.series.uid),
    }
    return object_of({tag: f'"{tag:08X}":{value}' for tag, value in told.items()})


def _away(instance: Instance) -> str:
    vr = "OW" if instance.transfer_syntax in NATIVE else "OB"
    return json.dumps({"vr": vr, "BulkDataURI": f"{address_of(instance)}{_PIXELS:08X}"})


def _attribute(vr: str, value: str) -> str:
    return json.dumps({"vr": vr, "Value": [value]} if value else {"vr": vr})
