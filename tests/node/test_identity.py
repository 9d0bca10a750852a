"""Who the user of an association is (PS3.7 D.3.3.7): passcodes, tokens, and what is not taken."""

from __future__ import annotations

import dataclasses
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from dicom_node import peers
from dicom_node.peers import book
from dicom_node.peers.identity import (
    JSON_WEB_TOKEN,
    KERBEROS,
    PASSCODE,
    SAML,
    USERNAME,
    Identity,
    TokenRules,
    Users,
    Verified,
    hashed,
    verify,
)

USERS = Users("required", {"anna": hashed("sésame"), "robot": ""})
KEY = ed25519.Ed25519PrivateKey.generate()


def pem(key) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def believing(key) -> Users:
    return Users("required", {}, TokenRules(pem(key), "hospital", "ARGENS"))


def token(key=KEY, algorithm: str = "EdDSA", **changed) -> Identity:
    claims = {"sub": "anna", "iss": "hospital", "aud": "ARGENS", "exp": time.time() + 60}
    claims = {name: one for name, one in (claims | changed).items() if one is not None}
    return Identity(JSON_WEB_TOKEN, jwt.encode(claims, key, algorithm).encode())


def passcode(user: str, word: str, **more) -> Identity:
    return Identity(PASSCODE, user.encode(), word.encode(), **more)


def test_the_right_passcode_is_believed():
    assert verify(passcode("anna", "sésame"), USERS) == Verified("anna")


@pytest.mark.parametrize(
    ("user", "word"),
    [
        ("anna", "sesame"),
        ("anna", ""),
        ("bert", "sésame"),
        ("bert", "nobody"),
        ("", ""),
        ("robot", ""),
        ("robot", "x"),
    ],
)
def test_a_wrong_passcode_or_a_stranger_is_not_believed(user, word):
    answer = verify(passcode(user, word), USERS)
    assert answer == f"user {user!r}: wrong passcode"


def test_a_name_alone_is_believed_only_where_no_passcode_is_set():
    assert verify(Identity(USERNAME, b"robot"), USERS) == Verified("robot")
    assert verify(Identity(USERNAME, b"anna"), USERS) == "user 'anna' needs a passcode"
    assert verify(Identity(USERNAME, b"stranger"), USERS) == "user 'stranger' needs a passcode"


def test_a_positive_response_is_given_when_it_is_asked_for():
    assert verify(passcode("anna", "sésame", wants_response=True), USERS).response == b""
    assert verify(passcode("anna", "sésame"), USERS).response is None


@pytest.mark.parametrize(("kind", "name"), [(KERBEROS, "Kerberos"), (SAML, "SAML"), (9, "type 9")])
def test_other_kinds_are_refused_by_their_name(kind, name):
    answer = verify(Identity(kind, b"anything"), USERS)
    assert name in answer
    assert "not taken here" in answer


@pytest.mark.parametrize(
    ("demand", "identity", "user"),
    [
        ("none", None, ""),
        ("none", Identity(KERBEROS, b"x"), ""),
        ("optional", None, ""),
        ("optional", Identity(USERNAME, b"robot"), "robot"),
    ],
)
def test_what_is_not_asked_for_is_not_missed(demand, identity, user):
    assert verify(identity, dataclasses.replace(USERS, demand=demand)) == Verified(user)


def test_what_is_required_must_be_there_and_what_is_given_must_be_right():
    assert "required" in verify(None, USERS)
    optional = dataclasses.replace(USERS, demand="optional")
    assert "wrong passcode" in verify(passcode("anna", "guess"), optional)


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (KEY, "EdDSA"),
        (ec.generate_private_key(ec.SECP256R1()), "ES256"),
        (rsa.generate_private_key(65537, 2048), "RS256"),
    ],
)
def test_a_token_of_the_configured_key_and_issuer_is_believed(key, algorithm):
    assert verify(token(key, algorithm), believing(key)) == Verified("anna")


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "elsewhere"},
        {"iss": None},
        {"aud": "OTHER"},
        {"aud": None},
        {"exp": 1},
        {"exp": None},
        {"sub": None},
        {"nbf": time.time() + 3600},
    ],
)
def test_a_token_with_another_claim_is_not_believed(changed):
    assert "not believed" in verify(token(**changed), believing(KEY))


def test_a_token_of_another_key_or_of_none_is_not_believed():
    other = ed25519.Ed25519PrivateKey.generate()
    assert "not believed" in verify(token(other), believing(KEY))
    unsigned = jwt.encode({"sub": "anna", "exp": time.time() + 60}, "", "none")
    assert "not believed" in verify(Identity(JSON_WEB_TOKEN, unsigned.encode()), believing(KEY))
    assert "PACS_DICOM_JWT_KEY" in verify(token(), USERS)


@given(st.integers(0, 255), st.binary(max_size=60), st.binary(max_size=60))
def test_nothing_that_a_peer_says_breaks_the_check(kind, primary, secondary):
    tokens = believing(KEY).tokens
    known = Users("required", {}, tokens)
    if kind != PASSCODE:  # each of those costs a hash
        assert isinstance(verify(Identity(kind, primary, secondary), known), str)


@pytest.fixture
def users_file(tmp_path, monkeypatch):
    identity = dataclasses.replace(
        book.CONFIG.identity, users_file=tmp_path / "users.json", demand="required"
    )
    config = dataclasses.replace(
        book.CONFIG, data_dir=tmp_path, identity=identity, peers={"WS1": "*"}, accept_loopback=False
    )
    monkeypatch.setattr(book, "CONFIG", config)
    return identity.users_file


def asked(identity: Identity | None) -> peers.Grant | peers.Rejection:
    caller = peers.Caller("WS1", "ARGENS", "10.0.0.8", identity=identity)
    return peers.decide(peers.current(), caller)


def test_a_user_is_added_by_a_command_and_counts_at_once(users_file, monkeypatch):
    assert asked(passcode("anna", "word-of-anna")).cause == "user"
    monkeypatch.setattr("sys.stdin", _Typed("word-of-anna\n"))
    call_command("dicom-user", "add", "anna", "--stdin")
    grant = asked(passcode("anna", "word-of-anna"))
    assert grant.user == "anna"
    assert "word-of-anna" not in users_file.read_text()
    assert users_file.stat().st_mode & 0o777 == 0o600
    call_command("dicom-user", "add", "robot", "--no-passcode")
    assert asked(Identity(USERNAME, b"robot")).user == "robot"
    call_command("dicom-user", "remove", "anna")
    assert asked(passcode("anna", "word-of-anna")).cause == "user"
    assert json.loads(users_file.read_text()) == {"users": {"robot": ""}}


def test_a_short_passcode_is_refused(users_file, monkeypatch):
    monkeypatch.setattr("sys.stdin", _Typed("short\n"))
    with pytest.raises(CommandError, match="at least 8"):
        call_command("dicom-user", "add", "anna", "--stdin")
    assert not users_file.exists()


def test_a_rejection_for_the_user_comes_from_the_acse(users_file):
    rejection = asked(None)
    assert (rejection.result, rejection.source, rejection.reason) == (1, 2, 1)


def test_a_users_file_that_cannot_be_read_leaves_the_last_one_in_force(users_file):
    book.put_user("robot", "")
    assert asked(Identity(USERNAME, b"robot")).user == "robot"
    users_file.write_text("{")
    assert asked(Identity(USERNAME, b"robot")).user == "robot"
    assert "users.json" in peers.current().problem


class _Typed:
    def __init__(self, text: str) -> None:
        self._text = text

    def readline(self) -> str:
        return self._text
