"""The node's rows, by what they are about."""

from dicom_node.models.archived import EvictionPlan, RecallRequest, Reservation, UsedTicket
from dicom_node.models.commitment import Commitment, CommitmentItem
from dicom_node.models.correction import Correction
from dicom_node.models.forwarding import Forward, ForwardDestination
from dicom_node.models.found import Instance, NonPatientObject, Series, Shown, Study
from dicom_node.models.journaled import JournalMark, JournalRun
from dicom_node.models.peers import RejectedCaller, Transfer
from dicom_node.models.prepared import FrameMap, Preparation
from dicom_node.models.quarantine import Quarantined, Waiting, WithheldStudy
from dicom_node.models.rejection import RejectedItem, Rejection

__all__ = [
    "Commitment",
    "CommitmentItem",
    "Correction",
    "EvictionPlan",
    "Forward",
    "ForwardDestination",
    "FrameMap",
    "Instance",
    "JournalMark",
    "JournalRun",
    "NonPatientObject",
    "Preparation",
    "Quarantined",
    "RecallRequest",
    "RejectedCaller",
    "RejectedItem",
    "Rejection",
    "Reservation",
    "Series",
    "Shown",
    "Study",
    "Transfer",
    "UsedTicket",
    "Waiting",
    "WithheldStudy",
]
