"""The node's certificate of DICOM over TLS, for IT: whose it is and when it ends."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509

from dicom_node.config import CONFIG


def certificate() -> dict[str, str] | None:
    """Return subject, issuer and end of what the TLS port shows; None where there is none."""
    return told(CONFIG.tls.certificate) if CONFIG.tls.port else None


def told(path: Path | None) -> dict[str, str] | None:
    """Return what the first certificate of a PEM file says; None where it cannot be read."""
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes()) if path else None
    except (OSError, ValueError):
        return None
    return found and {
        "subject": found.subject.rfc4514_string(),
        "issuer": found.issuer.rfc4514_string(),
        "not_after": found.not_valid_after_utc.isoformat(),
    }
