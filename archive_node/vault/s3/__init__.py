"""Volumes in an S3-compatible object store."""

from archive_node.vault.s3.vault import ObjectVault

__all__ = ["ObjectVault"]
