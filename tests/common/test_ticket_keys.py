"""One key of an issuer follows another: who signs when, and who is believed how long."""

from __future__ import annotations

import time
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pacs_common import key_rotation, ticket_keys
from pacs_common.errors import BadInput, Conflict, NotAuthenticated
from pacs_common.key_rotation import Issuer
from pacs_common.ticket_keys import LEEWAY_S, LIFETIME_S, SigningKey, TrustedKey
from pacs_common.tickets import TicketIssuer, TicketVerifier


@pytest.fixture
def trust(tmp_path: Path) -> Path:
    return tmp_path / "trust"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "portal.key.pem"


@pytest.fixture
def portal(file: Path, trust: Path) -> TicketIssuer:
    return TicketIssuer.at("portal", file, trust)


def keys(count: int, *since: float) -> list[SigningKey]:
    return [SigningKey(Ed25519PrivateKey.generate(), at) for at in (0.0, *since)][:count]


def issued(issuer: TicketIssuer) -> str:
    return issuer.issue("CT", ["status"], subject="tester")


def kid_of(token: str) -> str:
    return jwt.get_unverified_header(token)["kid"]


def rotated(file: Path | None, trust: Path, text: str = "", **asked) -> key_rotation.Rotated:
    return key_rotation.rotate(Issuer("portal", text, file, trust), **{"overlap_s": 0.0} | asked)


def hurried(file: Path) -> None:
    """Let the youngest key's time have come, as if the overlap were over."""
    old, new = ticket_keys.read_private(file.read_text())
    file.write_text(ticket_keys.private_text([old, SigningKey(new.key, time.time() - 1)]))


def refused(trust: Path, token: str) -> str:
    with pytest.raises(NotAuthenticated) as caught:
        TicketVerifier("CT", trust).verify(token)
    return str(caught.value)


def test_a_key_is_named_by_its_thumbprint_as_the_standard_shows():
    """The example of RFC 8037 appendix A.1 and A.3."""
    seed = ticket_keys.base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    key = SigningKey(Ed25519PrivateKey.from_private_bytes(seed))
    assert key.kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_a_ring_survives_its_text_and_any_reader_of_pem_finds_the_first_key():
    ring = keys(2, 1_800_000_000.0)
    text = ticket_keys.private_text(ring)
    assert [(one.kid, one.since) for one in ticket_keys.read_private(text)] == [
        (one.kid, one.since) for one in ring
    ]
    public = ticket_keys.public_text(ticket_keys.trusted(ring))
    assert [(one.kid, one.until) for one in ticket_keys.read_public(public)] == [
        (ring[0].kid, 1_800_000_000.0 + LIFETIME_S + LEEWAY_S),
        (ring[1].kid, None),
    ]
    first = serialization.load_pem_public_key(public.encode())
    assert ticket_keys.key_id(first) == ring[0].kid


@pytest.mark.parametrize(
    "broken",
    [
        "signs-since: yesterday\n{0}",
        "{0}-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "{0}-----BEGIN PRIVATE KEY-----\n",
        "signs-since: 2026-01-01T00:00:00Z\n",
        "",
    ],
)
def test_a_text_that_is_half_right_is_refused_whole(broken):
    whole = ticket_keys.private_text(keys(1))
    with pytest.raises(ValueError):
        ticket_keys.read_private(broken.format(whole))


def test_the_youngest_key_whose_time_has_come_signs():
    ring = keys(3, 100.0, 200.0)
    signs = [ring.index(ticket_keys.signing(ring, now)) for now in (0, 99, 100, 199, 200, 1e9)]
    assert signs == [0, 0, 1, 1, 2, 2]
    assert ticket_keys.signing(keys(3, 100.0)[1:], 50) is not None  # a lone key, early by clock


def test_a_key_is_believed_as_long_as_its_last_ticket_may_live():
    old, new = ticket_keys.trusted(keys(2, 1000.0))
    assert (old.until, new.until) == (1000.0 + LIFETIME_S + LEEWAY_S, None)
    assert not old.is_retired(1000.0 + LIFETIME_S + LEEWAY_S - 1)
    assert old.is_retired(1000.0 + LIFETIME_S + LEEWAY_S)
    assert not new.is_retired(1e12)


def test_a_running_issuer_goes_over_to_the_new_key_and_both_are_believed(portal, file, trust):
    verifier, before = TicketVerifier("CT", trust), issued(portal)
    told = rotated(file, trust, overlap_s=3600)
    assert kid_of(issued(portal)) == kid_of(before)  # its time has not come
    assert "signs from" in told.lines[0] and "is believed until" in told.lines[1]
    newest = issued(portal.newest())
    assert verifier.verify(newest) and kid_of(newest) != kid_of(before)  # but everybody knows it
    hurried(file)
    after = issued(portal)
    assert kid_of(after) == kid_of(newest)
    assert verifier.verify(after) and verifier.verify(before)
    assert file.stat().st_mode & 0o777 == 0o600


def test_after_its_end_the_old_key_is_refused_with_a_clear_line(trust):
    now = time.time()
    ring = keys(2, now - LIFETIME_S - LEEWAY_S - 1)
    TicketIssuer.of("portal", ticket_keys.private_text(ring), trust)
    old, new = (TicketIssuer("portal", one.key) for one in ring)
    assert TicketVerifier("CT", trust).verify(issued(new))
    assert f"portal's key {ring[0].kid[:8]!r} was retired at 20" in refused(trust, issued(old))


def test_a_ticket_that_was_believed_once_ends_with_its_key_though_nothing_was_changed(
    trust, monkeypatch
):
    now = time.time()
    ring = keys(2, now - LIFETIME_S)
    TicketIssuer.of("portal", ticket_keys.private_text(ring), trust)
    verifier, token = TicketVerifier("CT", trust), issued(TicketIssuer("portal", ring[0].key))
    assert verifier.verify(token) == verifier.verify(token)
    monkeypatch.setattr(time, "time", lambda: now + LEEWAY_S + 1)  # the ticket itself lives on
    with pytest.raises(NotAuthenticated, match="was retired"):
        verifier.verify(token)


def test_a_ticket_that_names_no_key_is_held_against_each(trust):
    """Those of a release before this one, while a hospital is upgraded machine by machine."""
    ring = keys(2, time.time() - 1)
    TicketIssuer.of("portal", ticket_keys.private_text(ring), trust)
    body = jwt.decode(issued(TicketIssuer("portal", ring[0].key)), options={"verify_signature": 0})
    for one in ring:
        assert TicketVerifier("CT", trust).verify(jwt.encode(body, one.key, algorithm="EdDSA"))
    stranger = Ed25519PrivateKey.generate()
    assert "ignature" in refused(trust, jwt.encode(body, stranger, algorithm="EdDSA"))


def test_a_ticket_that_borrows_the_name_of_a_key_is_refused(portal, trust):
    real = issued(portal)
    body = jwt.decode(real, options={"verify_signature": 0})
    forger = Ed25519PrivateKey.generate()
    forged = jwt.encode(body, forger, algorithm="EdDSA", headers={"kid": kid_of(real)})
    assert "ignature" in refused(trust, forged)


def test_a_key_that_nobody_brought_here_is_said_to_be_unknown(portal, trust):
    stranger = issued(TicketIssuer("portal", Ed25519PrivateKey.generate()))
    assert "was retired, or its public half was not brought here" in refused(trust, stranger)


def test_a_stolen_key_is_believed_no_more_at_once(portal, file, trust):
    stolen = issued(TicketIssuer("portal", ticket_keys.read_private(file.read_text())[0].key))
    verifier = TicketVerifier("CT", trust)
    verifier.verify(stolen)
    rotated(file, trust, stolen=True)
    with pytest.raises(NotAuthenticated, match="is not known here"):
        verifier.verify(stolen)
    assert verifier.verify(issued(portal))


def test_a_second_rotation_waits_for_the_first_and_forgets_what_is_retired(file, trust, portal):
    rotated(file, trust, overlap_s=3600)
    with pytest.raises(Conflict, match="a new key waits already: it signs from"):
        rotated(file, trust, overlap_s=0)
    ring = keys(2, time.time() - LIFETIME_S - LEEWAY_S - 1)
    file.write_text(ticket_keys.private_text(ring))
    rotated(file, trust)
    left = [one.kid for one in ticket_keys.read_private(file.read_text())]
    assert left[0] == ring[1].kid and len(left) == 2
    assert ring[0].kid not in [one.kid for one in read_public(trust)]


def read_public(trust: Path) -> list[TrustedKey]:
    return ticket_keys.read_public((trust / "portal.pub.pem").read_text())


@pytest.mark.parametrize("overlap_s", [-1.0, float("nan"), float("inf"), 1e12])
def test_an_overlap_that_makes_no_sense_changes_nothing(file, trust, portal, overlap_s):
    before = file.read_bytes()
    with pytest.raises(BadInput, match="--overlap-s is not between"):
        rotated(file, trust, overlap_s=overlap_s)
    assert file.read_bytes() == before and len(read_public(trust)) == 1


def test_a_key_that_came_by_its_value_is_published_and_handed_out(trust):
    text = ticket_keys.new_key().decode()
    old = TicketIssuer.of("portal", text, trust)
    done = rotated(None, trust, text, overlap_s=3600)
    assert "in the place of the old one, where PACS_TICKET_KEY comes from" in done.lines[3]
    ring = ticket_keys.read_private(done.to_keep)
    assert [one.kid for one in ring] == [one.kid for one in read_public(trust)]
    assert kid_of(issued(old)) == ring[0].kid
    restarted = TicketIssuer.of("portal", done.to_keep, trust)  # before its time: the old signs
    assert kid_of(issued(restarted)) == ring[0].kid
    assert kid_of(issued(restarted.newest())) == ring[1].kid


def test_a_private_key_is_not_shown_on_a_screen(trust):
    class Screen:
        def isatty(self) -> bool:
            return True

        def write(self, text: str) -> None:
            raise AssertionError("shown")

    issuer = Issuer("portal", ticket_keys.new_key().decode(), None, trust)
    with pytest.raises(BadInput, match="send the output to a file"):
        key_rotation.run(issuer, Screen(), Screen(), 0.0, False)
    assert not trust.exists()


def test_a_key_file_that_breaks_keeps_the_last_good_key(portal, file, trust, caplog):
    before = kid_of(issued(portal))
    file.write_text("nothing")
    assert kid_of(issued(portal)) == before
    assert "the last good keys go on signing" in caplog.text
    assert TicketVerifier("CT", trust).verify(issued(portal))


def test_a_key_file_that_is_replaced_by_hand_is_published_by_who_runs(portal, file, trust):
    file.write_bytes(ticket_keys.new_key())
    assert TicketVerifier("CT", trust).verify(issued(portal))
