"""Tickets: believed only where, for what, until when and by whose key they were signed."""

from __future__ import annotations

import base64
import json
import re
import time
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pacs_common.errors import NotAuthenticated, Refused
from pacs_common.tickets import LEEWAY_S, LIFETIME_S, TicketIssuer, TicketVerifier

ROOT = Path(__file__).resolve().parents[2]
WORDS = st.text(alphabet="abcdefghijklmnopqrstuvwxyz.", min_size=1, max_size=12)


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture
def trust(tmp_path, key):
    folder = tmp_path / "trust"
    folder.mkdir()
    publish(folder, "portal", key)
    return folder


def publish(folder, issuer, key) -> None:
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (folder / f"{issuer}.pub.pem").write_bytes(pem)


def claims(**changed) -> dict[str, object]:
    now = int(time.time())
    whole = {
        "iss": "portal",
        "aud": "CT",
        "sub": "clinician",
        "iat": now,
        "exp": now + 60,
        "jti": "one",
        "scope": "status dicomweb",
    }
    return {name: value for name, value in {**whole, **changed}.items() if value is not None}


def signed(key, **changed) -> str:
    return jwt.encode(claims(**changed), key, algorithm="EdDSA")


def part(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def refused(trust, token) -> str:
    with pytest.raises(NotAuthenticated) as caught:
        TicketVerifier("CT", trust).verify(token)
    return str(caught.value)


def test_what_was_issued_is_what_is_verified(trust, key):
    token = TicketIssuer("portal", key).issue(
        "CT", ["status", "dicomweb"], subject="Dr Lefèvre", study="1.2.3", plan="p-1"
    )
    ticket = TicketVerifier("CT", trust).verify(token)
    assert (ticket.issuer, ticket.audience, ticket.subject) == ("portal", "CT", "Dr Lefèvre")
    assert ticket.scopes == {"status", "dicomweb"}
    assert (ticket.study, ticket.plan) == ("1.2.3", "p-1")
    assert 0 < ticket.expires_at - time.time() <= LIFETIME_S


@given(subject=st.text(max_size=40), scopes=st.lists(WORDS, max_size=4), study=WORDS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_any_subject_and_scopes_survive_the_journey(trust, key, subject, scopes, study):
    token = TicketIssuer("portal", key).issue("CT", scopes, subject=subject, study=study)
    ticket = TicketVerifier("CT", trust).verify(token)
    assert (ticket.subject, ticket.scopes, ticket.study) == (subject, set(scopes), study)


def test_each_ticket_has_an_id_of_its_own(trust, key):
    issuer, verifier = TicketIssuer("portal", key), TicketVerifier("CT", trust)
    ids = {verifier.verify(issuer.issue("CT", [], subject="s")).jti for _ in range(20)}
    assert len(ids) == 20


def test_a_ticket_for_another_audience_is_not_valid_here(trust, key):
    assert "Audience" in refused(trust, signed(key, aud="RF"))


def test_a_ticket_that_was_believed_once_ends_when_it_expires(trust, key):
    verifier = TicketVerifier("CT", trust)
    issuer = TicketIssuer("portal", key)
    token = issuer.issue("CT", ["status"], subject="x", lifetime_s=2 - LEEWAY_S)
    assert verifier.verify(token) == verifier.verify(token)
    time.sleep(2.1)
    with pytest.raises(NotAuthenticated, match="expired"):
        verifier.verify(token)


def test_a_ticket_that_was_believed_once_ends_with_its_issuers_key(trust, key):
    verifier = TicketVerifier("CT", trust)
    token = TicketIssuer("portal", key).issue("CT", ["status"], subject="x")
    verifier.verify(token)
    publish(trust, "portal", Ed25519PrivateKey.generate())
    with pytest.raises(NotAuthenticated):
        verifier.verify(token)
    (trust / "portal.pub.pem").unlink()
    with pytest.raises(NotAuthenticated):
        verifier.verify(token)


def test_an_expired_ticket_is_good_within_the_leeway_and_no_longer(trust, key):
    now = int(time.time())
    assert TicketVerifier("CT", trust).verify(signed(key, exp=now - LEEWAY_S + 10))
    assert "expired" in refused(trust, signed(key, exp=now - LEEWAY_S - 1))


def test_a_ticket_from_the_future_is_good_within_the_leeway_and_no_further(trust, key):
    now = int(time.time())
    assert TicketVerifier("CT", trust).verify(signed(key, iat=now + LEEWAY_S - 10))
    assert "not yet valid" in refused(trust, signed(key, iat=now + LEEWAY_S + 60))


@pytest.mark.parametrize("missing", ["iss", "aud", "sub", "exp", "jti", "scope"])
def test_a_ticket_that_lacks_a_claim_is_refused(trust, key, missing):
    refused(trust, signed(key, **{missing: None}))


@pytest.mark.parametrize("scope", [["status"], 7, {"status": True}])
def test_a_scope_that_is_no_text_is_refused(trust, key, scope):
    assert "scope" in refused(trust, signed(key, scope=scope))


def test_an_issuer_without_a_key_in_the_trust_folder_is_not_trusted(trust, key):
    assert "'archive' is not trusted here" in refused(trust, signed(key, iss="archive"))


@pytest.mark.parametrize(
    "issuer", ["../portal", "/etc/passwd", "a/b", "portal.pub", "", "-", "p\0", 7, ["portal"]]
)
def test_an_issuer_that_is_no_plain_name_never_becomes_a_path(trust, key, issuer):
    body = f"{part({'alg': 'EdDSA', 'typ': 'JWT'})}.{part(claims(iss=issuer))}"
    token = f"{body}.{part(key.sign(body.encode()))}"
    assert "names no issuer" in refused(trust, token)


def test_an_issuer_of_endless_length_is_refused(trust, key):
    refused(trust, signed(key, iss="a" * 5000))


def test_a_ticket_without_signature_is_refused(trust):
    body = f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims())}"
    refused(trust, f"{body}.")


def test_a_public_key_is_never_taken_for_a_shared_secret(trust):
    """An attacker knows the public key and signs with it as an HMAC secret (RFC 8725 2.1)."""
    import hashlib
    import hmac

    body = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims())}"
    secret = (trust / "portal.pub.pem").read_bytes()
    mac = hmac.new(secret, body.encode(), hashlib.sha256).digest()
    refused(trust, f"{body}.{part(mac)}")


def test_a_ticket_signed_by_another_key_is_refused(trust):
    refused(trust, signed(Ed25519PrivateKey.generate()))


def test_changed_claims_break_the_signature(trust, key):
    head, _, mac = signed(key).split(".")
    refused(trust, f"{head}.{part(claims(sub='it', scope='custody.evict'))}.{mac}")


@given(st.text(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
def test_whatever_is_no_ticket_is_an_answer_and_no_fault(trust, token):
    refused(trust, token)


@pytest.mark.parametrize("content", [b"", b"no key", b"\xff\xfe"])
def test_a_broken_public_key_is_an_answer_and_no_fault(trust, key, content):
    (trust / "portal.pub.pem").write_bytes(content)
    refused(trust, signed(key))


def test_a_public_key_of_another_kind_is_refused(trust, key):
    publish(trust, "portal", rsa.generate_private_key(public_exponent=65537, key_size=2048))
    refused(trust, signed(key))


def test_a_ticket_grants_its_scopes_and_no_other(trust, key):
    ticket = TicketVerifier("CT", trust).verify(signed(key))
    ticket.require("status")
    with pytest.raises(Refused, match=r"does not grant custody\.evict"):
        ticket.require("custody.evict")
    with pytest.raises(Refused):
        ticket.require("stat")


def test_a_ticket_bound_to_a_study_is_for_that_study_alone(trust, key):
    ticket = TicketVerifier("CT", trust).verify(signed(key, study="1.2.3"))
    ticket.require("status", study="1.2.3")
    for other in ("1.2.33", None, ""):
        with pytest.raises(Refused, match="another study"):
            ticket.require("status", study=other)


def test_an_unbound_ticket_serves_any_study(trust, key):
    TicketVerifier("CT", trust).verify(signed(key)).require("status", study="1.2.3")


def test_a_key_is_made_once_kept_private_and_published(tmp_path):
    key_file, trust = tmp_path / "data" / "portal.key.pem", tmp_path / "trust"
    first = TicketIssuer.at("portal", key_file, trust)
    again = TicketIssuer.at("portal", key_file, trust)
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert "PRIVATE" not in (trust / "portal.pub.pem").read_text()
    for issuer in (first, again):
        assert TicketVerifier("CT", trust).verify(issuer.issue("CT", ["a"], subject="s"))
    left = [path.name for path in [*key_file.parent.iterdir(), *trust.iterdir()]]
    assert left == ["portal.key.pem", "portal.pub.pem"]


def test_a_replaced_key_is_published_and_the_old_one_is_believed_no_more(tmp_path):
    key_file, trust = tmp_path / "portal.key.pem", tmp_path / "trust"
    old = TicketIssuer.at("portal", key_file, trust).issue("CT", ["a"], subject="s")
    key_file.unlink()
    new = TicketIssuer.at("portal", key_file, trust).issue("CT", ["a"], subject="s")
    assert TicketVerifier("CT", trust).verify(new)
    refused(trust, old)


def test_a_file_that_holds_no_such_key_is_named(tmp_path):
    key_file = tmp_path / "portal.key.pem"
    key_file.write_bytes(b"-----BEGIN NOTHING-----")
    with pytest.raises(ValueError, match=r"portal\.key\.pem does not hold an Ed25519 private key"):
        TicketIssuer.at("portal", key_file, tmp_path / "trust")


@pytest.mark.parametrize(("off", "when"), [(-300, "30[01] s ago"), (300, "(299|300) s from now")])
def test_a_ticket_that_is_refused_for_its_time_names_the_clocks(trust, key, off, when):
    made_at = int(time.time()) + off
    why = refused(trust, signed(key, iat=made_at, exp=made_at + 120))
    assert re.search(f"made {when} by this machine's clock: compare the clocks", why)


def test_no_role_asks_for_a_ticket_that_outlives_a_retired_key():
    rooms = ("pacs_common", "pacs_web", "archive_node", "dicom_node")
    files = [file for room in rooms for file in (ROOT / room).rglob("*.py")]
    asked = [file for file in files if "lifetime_s=" in file.read_text()]
    assert len(files) > 300 and asked == []
