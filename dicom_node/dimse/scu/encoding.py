"""In which transfer syntax an object leaves: as it is stored, or what it may be turned into.

Never with loss: what is stored lossy is only ever decompressed (PS3.5 10).
"""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Collection

from pydicom import uid

from dicom_node.dimse.scu import outgoing
from dicom_node.dimse.scu.outgoing import Data, Item
from dicom_node.overlay.apply import corrected
from dicom_node.render.image_format import NATIVE
from dicom_node.render.transcode import COMPRESSED, to_syntax
from dicom_node.store import part10
from pacs_common.errors import ArgensError, CannotRender, NotAcceptable

LOG = logging.getLogger(__name__)
UNCOMPRESSED = (str(uid.ExplicitVRLittleEndian), str(uid.ImplicitVRLittleEndian))
_TURNING = threading.BoundedSemaphore(2)  # each holds a whole object, and its decoded pixels
_JPEG_FAMILY = "1.2.840.10008.1.2.4."
_LOSSLESS = {
    *(f"{_JPEG_FAMILY}{number}" for number in (57, 70, 80, 90, 92, 201, 202)),
    str(uid.RLELossless),
    "1.2.840.10008.1.2.8.1",  # Deflated Image Frame
}


def candidates(stored_syntax: str) -> list[str]:
    """Return the syntaxes in which an object may leave, the best first."""
    if stored_syntax in NATIVE:
        return list(dict.fromkeys([stored_syntax, *UNCOMPRESSED, *COMPRESSED]))
    if stored_syntax in _LOSSLESS:
        return list(dict.fromkeys([stored_syntax, *COMPRESSED, *UNCOMPRESSED]))
    return [stored_syntax, *UNCOMPRESSED]


def encode(item: Item, taken: Collection[str]) -> tuple[str, Data]:
    """Return an item in the best syntax that a peer takes: (syntax, encoded data set).

    Raises NotAcceptable where it takes none that fits, CannotRender where the pixels cannot be
    turned, and what `stored.data_set` raises.
    """
    possible = [syntax for syntax in candidates(item.transfer_syntax) if syntax in taken]
    if not possible:
        raise NotAcceptable(_why(item, taken))
    try:
        data = outgoing.data_set(item)  # compared with its digest, whatever it is turned into
    except outgoing.Compressed as found:
        return encode(found.item, taken)
    if possible[0] == item.transfer_syntax:
        return item.transfer_syntax, data
    reason: ArgensError = NotAcceptable("")
    for syntax in possible:
        try:
            return syntax, _turned(item, syntax)
        except (CannotRender, NotAcceptable) as error:
            LOG.info("not sent as %s: %s", syntax, error, extra={"sop_instance_uid": item.uid})
            reason = error
    raise reason


def _turned(item: Item, syntax: str) -> bytes:
    with _TURNING:
        try:
            content = io.BytesIO(item.path.read_bytes())
            ds = part10.read_object(corrected(content, item.overlay))
        except OSError as error:
            raise ArgensError(f"the file cannot be read: {error.strerror}") from None
        return to_syntax(ds, syntax)


def _why(item: Item, taken: Collection[str]) -> str:
    name = uid.UID(item.sop_class).name
    if not taken:
        return f"the peer does not take {name}"
    return f"the peer takes {name} in no syntax that {item.transfer_syntax} may be turned into"
