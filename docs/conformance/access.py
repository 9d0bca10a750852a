"""Who gets in and what for: rejections, TLS, and the DICOMweb resources."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable

from pynetdicom.pdu import A_ASSOCIATE_RJ

from dicom_node import urls
from dicom_node.dimse.association import acceptor, tls
from dicom_node.peers import Book, Caller, CertificateRule, Peer, Rejection, decide
from dicom_node.peers.decision import Cause
from dicom_node.peers.identity import Users
from docs.conformance.markdown import table

_ANYONE = Caller("CT1", "ARGENS", "10.0.0.7")
_KNOWN = Peer("CT1", addresses=("10.0.0.7",))
_REJECTED = {
    Cause.CALLED_AE: (
        "`PACS_CHECK_CALLED_AE` is set and another AE title is called",
        Book("OTHER", {"CT1": _KNOWN}, check_called=True),
    ),
    Cause.UNKNOWN_AE: ("the calling AE title is not known", Book("ARGENS")),
    Cause.NEW_ADDRESS: (
        "it is known, but not from this address",
        Book("ARGENS", {"CT1": Peer("CT1", addresses=("10.0.0.8",))}),
    ),
    Cause.CERTIFICATE: (
        "it is bound to a TLS certificate, and does not show that one",
        Book(
            "ARGENS",
            {"CT1": Peer("CT1", addresses=("10.0.0.7",), certificate=CertificateRule("0" * 64))},
        ),
    ),
    Cause.USER: (
        "the user identity is required and missing, or not believed",
        Book("ARGENS", {"CT1": _KNOWN}, users=Users("required")),
    ),
}
_IMPOSSIBLE = {
    "the protocol version is not 1": (
        acceptor.PERMANENT,
        acceptor.ACSE,
        acceptor.PROTOCOL_VERSION,
    ),
    "another application context than DICOM's": (
        acceptor.PERMANENT,
        acceptor.SERVICE_USER,
        acceptor.NO_SUCH_CONTEXT,
    ),
    "no presentation context that names a class and a syntax": (
        acceptor.PERMANENT,
        acceptor.SERVICE_USER,
        acceptor.NO_REASON,
    ),
    "too many associations, in all or of this peer: try again": (
        acceptor.TRANSIENT,
        acceptor.PRESENTATION,
        acceptor.LIMIT_EXCEEDED,
    ),
}


def rejections() -> str:
    """Why associations are rejected, and the codes of A-ASSOCIATE-RJ, asked of the decision."""
    rows = []
    for cause in Cause:
        when, book = _REJECTED[cause]
        found = decide(book, _ANYONE)
        if not isinstance(found, Rejection) or found.cause is not cause:
            raise LookupError(f"{cause} is not rejected as the page says")
        rows.append([*_codes(found.result, found.source, found.reason), when])
    rows += [[*_codes(*codes), when] for when, codes in _IMPOSSIBLE.items()]
    return table(["result", "source", "reason", "when"], rows)


def _codes(result: int, source: int, reason: int) -> list[str]:
    pdu = A_ASSOCIATE_RJ()
    pdu.result, pdu.source, pdu.reason_diagnostic = result, source, reason
    told = (pdu.result_str, pdu.source_str, pdu.reason_str)
    return [f"{n} {text}" for n, text in zip((result, source, reason), told, strict=True)]


def ciphers() -> str:
    """The cipher suites of TLS 1.2."""
    suites = [name for name in tls.CIPHERS.split(":") if not name.startswith("@")]
    return table(["TLS 1.2 cipher suite (OpenSSL's name)"], [[name] for name in suites])


def resources() -> str:
    """The DICOMweb resources of a node, from its address table."""
    rows = []
    for pattern in sorted(urls.urlpatterns, key=lambda pattern: str(pattern.pattern)):
        route = str(pattern.pattern)
        if route.startswith("dicom-web/"):
            resource = re.sub(r"<\w+:(\w+)>", r"{\1}", route.removeprefix("dicom-web"))
            for method, view in pattern.callback.views.items():
                said = (inspect.getdoc(view) or "").split("\n")[0]
                rows.append([f"`{resource}`", method, said])
    return table(["resource, below `/dicom-web`", "method", "transaction"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "rejections": rejections,
    "ciphers": ciphers,
    "resources": resources,
}
