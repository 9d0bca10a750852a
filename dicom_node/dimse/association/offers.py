"""What the node offers within an association: SOP classes, transfer syntaxes, and their order."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MPEGTransferSyntaxes,
    RLELossless,
)
from pynetdicom import AllStoragePresentationContexts
from pynetdicom.sop_class import (
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from dicom_node.config import CONFIG
from dicom_node.dimse.association.acceptor import Offer
from dicom_node.index import non_patient

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
CURRENT_STORAGE = [str(context.abstract_syntax) for context in AllStoragePresentationContexts]
# Offered even where they are not kept, so that the sender hears 0x0122 for each (PS3.4 GG).
NON_PATIENT_STORAGE = list(non_patient.CLASSES)
QUERY_SYNTAXES = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))
FIND: dict[str, str] = {
    PatientRootQueryRetrieveInformationModelFind: "patient",
    StudyRootQueryRetrieveInformationModelFind: "study",
}
GET: dict[str, str] = {
    PatientRootQueryRetrieveInformationModelGet: "patient",
    StudyRootQueryRetrieveInformationModelGet: "study",
}
MOVE: dict[str, str] = {
    PatientRootQueryRetrieveInformationModelMove: "patient",
    StudyRootQueryRetrieveInformationModelMove: "study",
}
RETRIEVE = GET | MOVE
COMMITMENT = str(StorageCommitmentPushModel)


def storage_classes() -> list[str]:
    """Return every SOP class of which the node takes objects."""
    return [*CURRENT_STORAGE, *RETIRED_STORAGE, *CONFIG.private_classes]


@functools.lru_cache(maxsize=64)
def offered(preferred: tuple[str, ...] = ()) -> Mapping[str, Offer]:
    """Return what a peer may have, by SOP class; `preferred` syntaxes go before all others."""
    first = [syntax for syntax in preferred if syntax in STORED_SYNTAXES]
    syntaxes = (*first, *(syntax for syntax in STORED_SYNTAXES if syntax not in first))
    offers = [Offer(str(Verification), QUERY_SYNTAXES)]
    # The peer may be the SCP: of C-GET's sub-operations, and of commitment reports.
    stored = [*storage_classes(), *NON_PATIENT_STORAGE]
    offers += [Offer(sop_class, syntaxes, both_roles=True) for sop_class in stored]
    offers += [Offer(str(sop_class), QUERY_SYNTAXES) for sop_class in [*FIND, *RETRIEVE]]
    offers.append(Offer(COMMITMENT, QUERY_SYNTAXES, both_roles=True))
    return {offer.sop_class: offer for offer in offers}
