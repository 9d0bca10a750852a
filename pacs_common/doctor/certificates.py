"""Certificates: until when, of which names, vouched for by whom, and whether the key is theirs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from pacs_common.doctor.finding import Finding, ok, one_line, problem, warning

SOON = timedelta(days=30)
RENEW = "have it renewed (docs/runbooks/certificate-expired.md)"


def certificate(
    what: str, file: Path, key: Path | None, authorities: Path | None
) -> Iterator[Finding]:
    """Examine a certificate in a PEM file with its chain; its key, and who may vouch for it."""
    about = f"certificate of {what}"
    try:
        chain = x509.load_pem_x509_certificates(file.read_bytes())
    except (OSError, ValueError) as error:
        yield problem(about, f"{file} cannot be read: {one_line(error)}", "give a PEM file")
        return
    for one in chain:
        yield _time(about, one)
    yield _names(about, chain[0])
    if key is not None:
        yield _key(about, chain[0], key)
    if authorities is not None:
        yield _vouched(about, chain, authorities)


def _time(about: str, one: x509.Certificate) -> Finding:
    now, name = datetime.now(UTC), one.subject.rfc4514_string()
    begins, ends = one.not_valid_before_utc, one.not_valid_after_utc
    if ends <= now:
        return problem(about, f"{name} ended on {ends:%Y-%m-%d %H:%M} UTC", RENEW)
    if begins > now:
        todo = "look at this machine's clock, then at the certificate"
        return problem(about, f"{name} begins only on {begins:%Y-%m-%d %H:%M} UTC", todo)
    if ends - now < SOON:
        return warning(about, f"{name} ends on {ends:%Y-%m-%d}", RENEW)
    return ok(about, f"{name} is good until {ends:%Y-%m-%d}")


def _names(about: str, one: x509.Certificate) -> Finding:
    try:
        names = one.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        todo = "have one made with the machine's names as Subject Alternative Names"
        return warning(about, "names no host: peers that look at the name refuse it", todo)
    found = [str(name.value) for name in names]
    return ok(about, f"is for {', '.join(found[:8])}")


def _key(about: str, one: x509.Certificate, file: Path) -> Finding:
    try:
        key = load_pem_private_key(file.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        told = f"its key {file} cannot be read: {one_line(error)}"
        return problem(about, told, "give the key as PEM, without a passphrase")
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if key.public_key().public_bytes(*form) != one.public_key().public_bytes(*form):
        return problem(
            about, f"{file} is the key of another one", "give the key that it was made with"
        )
    return ok(about, "the key is its own")


def _vouched(about: str, chain: list[x509.Certificate], file: Path) -> Finding:
    try:
        known = x509.load_pem_x509_certificates(file.read_bytes())
    except (OSError, ValueError) as error:
        told = f"the authorities of {file} cannot be read: {one_line(error)}"
        return problem(about, told, "give a PEM file")
    at = chain[0]
    for _ in range(len(chain) + 1):
        if at in known or any(_issued(at, one) for one in known):
            return ok(about, f"is vouched for by {file.name}")
        above = next((one for one in chain if one != at and _issued(at, one)), None)
        if above is None:
            break
        at = above
    told = f"nobody in {file} vouches for {at.subject.rfc4514_string()}"
    return problem(about, told, "add the missing authority to the chain or to that file")


def _issued(one: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        one.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
