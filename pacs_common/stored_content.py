"""How a browser may treat what somebody stored, where it opens it as a page of its own."""

from __future__ import annotations

_PDF = "application/pdf"
_POLICY = "default-src 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
# The viewers frame PDF; the browser's own reader styles its page, and runs in no sandbox.
_PDF_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"


def is_framed(content_type: str) -> bool:
    """Return whether the viewers show content of this type in a frame of their own pages."""
    return content_type.startswith(_PDF)


def security_policy(content_type: str) -> str:
    """Return the Content-Security-Policy under which it runs, loads and sends nothing."""
    return _PDF_POLICY if is_framed(content_type) else _POLICY
