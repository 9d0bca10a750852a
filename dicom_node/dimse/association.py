"""Who may associate, and for what: the presentation contexts that the node offers."""

from __future__ import annotations

import ipaddress
import logging

from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MPEGTransferSyntaxes,
    RLELossless,
)
from pynetdicom import AE, AllStoragePresentationContexts, _config, evt
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.sop_class import (
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
    register_uid,
)

from dicom_node.config import CONFIG
from dicom_node.store.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION

LOG = logging.getLogger(__name__)
MAX_PDU_BYTES = 131072
REJECTED_PERMANENT, BY_SERVICE_USER, CALLING_AE_UNKNOWN = 0x01, 0x01, 0x03  # PS3.8 9.3.4

# The node's order decides: what any peer can hand over without loss first, lossy and video last.
# Pixels that lie elsewhere (JPIP references, SMPTE ST 2110 streams) cannot be kept and are absent.
_JPEG_FAMILY = "1.2.840.10008.1.2.4."
_LOSSLESS = [f"{_JPEG_FAMILY}{n}" for n in (70, 57, 80, 90, 201, 202, 92)]
_LOSSY = [f"{_JPEG_FAMILY}{n}" for n in (50, 51, 81, 91, 93, 203)]
_VIDEO = [str(syntax) for syntax in MPEGTransferSyntaxes]
_RETIRED_JPEG = [f"{_JPEG_FAMILY}{n}" for n in (52, 53, 54, 55, 56, *range(58, 67))]
_DEFLATED_IMAGE_FRAME = "1.2.840.10008.1.2.8.1"
STORED_SYNTAXES = [
    str(ExplicitVRLittleEndian),
    *_LOSSLESS,
    str(RLELossless),
    _DEFLATED_IMAGE_FRAME,
    str(ImplicitVRLittleEndian),
    str(DeflatedExplicitVRLittleEndian),
    str(ExplicitVRBigEndian),
    *_LOSSY,
    *_VIDEO,
    *_RETIRED_JPEG,
]
# Retired classes that old archives and old modalities still send (PS3.6 A).
RETIRED_STORAGE = [
    f"1.2.840.10008.5.1.4.1.1.{n}"
    for n in ("3", "5", "6", "8", "9", "10", "12.3", "77.1", "77.2", "129")
]
QUERY_SYNTAXES = [str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)]
FIND = {
    PatientRootQueryRetrieveInformationModelFind: "patient",
    StudyRootQueryRetrieveInformationModelFind: "study",
}
RETRIEVE = {
    PatientRootQueryRetrieveInformationModelGet: "patient",
    StudyRootQueryRetrieveInformationModelGet: "study",
    PatientRootQueryRetrieveInformationModelMove: "patient",
    StudyRootQueryRetrieveInformationModelMove: "study",
}


def application_entity() -> AE:
    """Return the node's AE with every context that it serves."""
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = False  # they hold patients' names
    _config.LOG_RESPONSE_IDENTIFIERS = False
    ae = AE(ae_title=CONFIG.ae_title)
    ae.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    ae.implementation_version_name = IMPLEMENTATION_VERSION
    ae.maximum_pdu_size = MAX_PDU_BYTES
    ae.maximum_associations = CONFIG.max_associations
    ae.add_supported_context(Verification, QUERY_SYNTAXES)
    current = [str(context.abstract_syntax) for context in AllStoragePresentationContexts]
    for number, sop_class in enumerate(RETIRED_STORAGE):
        register_uid(sop_class, f"RetiredStorage{number}", StorageServiceClass)
    for sop_class in [*current, *RETIRED_STORAGE]:
        ae.add_supported_context(sop_class, STORED_SYNTAXES, scu_role=True, scp_role=True)
    for sop_class in [*FIND, *RETRIEVE]:
        ae.add_supported_context(sop_class, QUERY_SYNTAXES)
    return ae


def admit(event: evt.Event) -> None:
    """Reject a peer that is not known here, with the reason in the log (PS3.8 9.3.4)."""
    requestor = event.assoc.requestor
    calling = str(requestor.primitive.calling_ae_title).strip()
    why = refusal(calling, requestor.address)
    if why:
        LOG.warning("association rejected: %s", why, extra={"peer": requestor.address})
        event.assoc.acse.send_reject(REJECTED_PERMANENT, BY_SERVICE_USER, CALLING_AE_UNKNOWN)
        event.assoc.kill()  # waits until the rejection has left


def refusal(calling_ae: str, address: str) -> str:
    """Return why a peer may not associate, "" where it may."""
    if CONFIG.accept_loopback and ipaddress.ip_address(address).is_loopback:
        return ""
    expected = CONFIG.peers.get(calling_ae)
    if expected is None:
        return f"calling AE title {calling_ae!r} is not in PACS_PEERS"
    if expected not in (address, "*"):
        return f"calling AE title {calling_ae!r} came from {address}, expected {expected}"
    return ""
