"""What must hold before an object is kept: its class is, and it is what its sender said it was."""

from __future__ import annotations

from dicom_node.config import CONFIG
from dicom_node.index import non_patient
from dicom_node.index.entry import Identity, identity_of
from dicom_node.ingest.arrival import Origin
from dicom_node.store.scan import Scanner
from pacs_common.errors import ClassNotSupported, UidMismatch


def check_class(sop_class: str, origin: Origin) -> None:
    """Raise ClassNotSupported for an object of no patient that neither setting nor peer allows."""
    is_kept = CONFIG.keep_non_patient or origin.non_patient_objects
    if sop_class.strip(" \0") in non_patient.CLASSES and not is_kept:
        raise ClassNotSupported("set PACS_KEEP_NON_PATIENT or the peer's non_patient_objects")


def check_identity(scanned: Scanner, origin: Origin) -> Identity:
    """Return the object's UIDs.

    Raises UidMismatch where the command or the address named others (0xA900), and what
    `check_class` raises.
    """
    identity = identity_of(scanned)
    check_class(identity.sop_class, origin)
    if origin.study and identity.study != origin.study:
        raise UidMismatch(f"the object is of study {identity.study or 'none'}, not {origin.study}")
    for name, said, found in (
        ("Instance", origin.affected_uid, identity.instance),
        ("Class", origin.affected_class, identity.sop_class),
    ):
        said = said.strip(" \0")
        if said and said != found:
            raise UidMismatch(f"Affected SOP {name} UID {said[:64]} is not the data set's {found}")
    return identity
