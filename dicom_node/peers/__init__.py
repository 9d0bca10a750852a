"""Who may associate with the node, from where, and what they may do."""

from dicom_node.peers.book import current
from dicom_node.peers.decision import Book, Caller, Cause, Grant, Rejection, decide
from dicom_node.peers.identity import Identity
from dicom_node.peers.peer import Certificate, CertificateRule, Destination, Peer, Service

__all__ = [
    "Book",
    "Caller",
    "Cause",
    "Certificate",
    "CertificateRule",
    "Destination",
    "Grant",
    "Identity",
    "Peer",
    "Rejection",
    "Service",
    "current",
    "decide",
]
