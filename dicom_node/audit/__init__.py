"""The node's audit: who asked for, sent, took, was refused or deleted what."""

from dicom_node.audit.trail import note

__all__ = ["note"]
