"""Who may associate, from where, and for what: the rule, and the file that it reads."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node import peers
from dicom_node.config import Peer as Named
from dicom_node.peers import addresses, book
from dicom_node.peers.peer import EVERYTHING, from_json, to_json
from dicom_node.store.layout import Layout
from pacs_common.errors import BadInput, Conflict, NotFound

CERTIFICATE = peers.Certificate("a" * 64, "CN=ct1")
CT1 = {
    "ae_title": "CT1",
    "addresses": ["10.0.0.7", "10.1.0.0/16", "fd00::/64"],
    "may": ["echo", "store", "commit"],
    "listens": {"host": "10.0.0.7", "port": 104, "tls": False},
    "charset": "ISO_IR 192",
    "transfer_syntaxes": ["1.2.840.10008.1.2.4.70"],
    "max_associations": 4,
}
WS1 = {
    "ae_title": "WS1",
    "addresses": ["ws1.hospital"],
    "may": ["query", "retrieve"],
    "destinations": ["WS1"],
    "certificate": {"sha256": ":".join(["AA"] * 32)},
}
NAMES = {"ws1.hospital": frozenset({"10.0.0.8"})}


def resolve(host: str) -> frozenset[str]:
    return NAMES.get(host, frozenset())


BOOK = peers.Book(
    own_title="ARGENS",
    peers={one["ae_title"]: from_json(one) for one in (CT1, WS1)},
    resolve=resolve,
)


def asked(ae_title: str, address: str, **more) -> peers.Grant | peers.Rejection:
    return peers.decide(BOOK, peers.Caller(ae_title, "ARGENS", address, **more))


def test_a_known_peer_gets_what_it_may_do_and_nothing_else():
    grant = asked("CT1", "10.0.0.7")
    assert (grant.echo, grant.store, grant.commit) == (True, True, True)
    assert (grant.query, grant.retrieve) == (False, False)
    assert (grant.fallback_charset, grant.max_associations) == ("ISO_IR 192", 4)
    assert grant.syntax_preference == ("1.2.840.10008.1.2.4.70",)


def test_a_colleague_gets_its_own_rights_and_its_own_destinations():
    grant = asked("WS1", "10.0.0.8", certificate=CERTIFICATE, secured=True)
    assert (grant.query, grant.retrieve, grant.store, grant.echo) == (True, True, False, False)
    assert grant.may_send_to("WS1")
    assert not grant.may_send_to("CT1")
    assert asked("CT1", "10.0.0.7").may_send_to("WS1")  # its list is open


def test_a_stranger_is_rejected_for_its_title():
    rejection = asked("NOBODY", "10.0.0.7")
    assert (rejection.result, rejection.source, rejection.reason) == (1, 1, 3)
    assert rejection.cause == "unknown-ae"
    assert "'NOBODY' is not known" in rejection.why


def test_a_known_title_from_a_new_address_is_told_apart_from_a_stranger():
    rejection = asked("CT1", "10.0.0.9")
    assert (rejection.reason, rejection.cause) == (3, "new-address")
    assert "came from 10.0.0.9, expected 10.0.0.7" in rejection.why


@pytest.mark.parametrize("shown", [None, peers.Certificate("b" * 64, "CN=ct1")])
def test_a_peer_bound_to_a_certificate_must_show_that_one(shown):
    rejection = asked("WS1", "10.0.0.8", certificate=shown)
    assert rejection.cause == "certificate"


def test_a_certificate_may_be_named_by_its_subject():
    told = {**WS1, "certificate": {"subject": "CN=ct1"}, "addresses": ["*"]}
    rule = from_json(told).certificate
    assert rule.fits(CERTIFICATE)
    assert not rule.fits(peers.Certificate("a" * 64, "CN=ct1,O=Elsewhere"))
    assert not rule.fits(None)


def test_the_called_title_counts_where_the_setting_says_so():
    strict = dataclasses.replace(BOOK, check_called=True)
    wrong = peers.decide(strict, peers.Caller("CT1", "OTHER", "10.0.0.7"))
    assert (wrong.reason, wrong.cause) == (7, "called-ae")
    assert isinstance(peers.decide(strict, peers.Caller("CT1", "ARGENS", "10.0.0.7")), peers.Grant)
    assert isinstance(peers.decide(BOOK, peers.Caller("CT1", "OTHER", "10.0.0.7")), peers.Grant)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_loopback_may_do_everything_where_the_setting_says_so(address):
    open_book = dataclasses.replace(BOOK, any_from_loopback=True)
    grant = peers.decide(open_book, peers.Caller("ANYBODY", "ARGENS", address))
    assert (grant.echo, grant.store, grant.query, grant.retrieve, grant.commit) == (True,) * 5
    assert grant.may_send_to("CT1")
    mine = peers.decide(open_book, peers.Caller("CT1", "ARGENS", address))
    assert (mine.query, mine.fallback_charset) == (True, "ISO_IR 192")  # its preferences stand
    bound = peers.decide(open_book, peers.Caller("WS1", "ARGENS", address))
    assert bound.may_send_to("CT1")
    assert asked("ANYBODY", address).cause == "unknown-ae"


@given(st.ip_addresses(), st.data())
def test_an_address_is_within_a_network_exactly_when_its_bits_say_so(address, data):
    most = address.max_prefixlen
    length = data.draw(st.integers(0, most))
    network = ipaddress.ip_network((address, length), strict=False)
    other = data.draw(st.ip_addresses(v=address.version))
    same = int(address) >> (most - length) == int(other) >> (most - length)
    by_rule = addresses.matches([str(network)], str(other), resolve)
    if address.version == 6 and (other.ipv4_mapped or address.ipv4_mapped):
        return  # told as IPv4
    assert by_rule == same
    assert addresses.matches([str(network)], str(address), resolve)


@given(st.ip_addresses(v=4))
def test_a_dual_stack_socket_tells_the_same_address_another_way(address):
    mapped = f"::ffff:{address}"
    assert addresses.matches([str(address)], mapped, resolve)
    assert addresses.matches([f"{address}/32"], mapped, resolve)
    assert addresses.is_loopback(mapped) == address.is_loopback


@given(st.lists(st.text(max_size=30), max_size=5), st.text(max_size=30))
def test_no_rule_and_no_caller_breaks_the_matching(rules, caller):
    assert addresses.matches(rules, caller, resolve) in (True, False)
    if not any(map(addresses.is_rule, rules)):
        assert not addresses.matches(rules, caller, resolve)


@pytest.mark.parametrize("rule", ["10.0.0.300", "10.0.0.7/8", "10.0.0", "a b", "", "host/24", "-"])
def test_what_is_no_address_is_no_rule(rule):
    assert not addresses.is_rule(rule)
    assert not addresses.matches([rule], "10.0.0.7", lambda host: frozenset({"10.0.0.7"}))


def test_a_name_server_is_asked_only_when_nothing_else_fits():
    questions: list[str] = []

    def asking(host: str) -> frozenset[str]:
        questions.append(host)
        return frozenset({"10.0.0.8"})

    assert addresses.matches(["host.a", "10.0.0.7"], "10.0.0.7", asking)
    assert questions == []
    assert addresses.matches(["host.a", "10.0.0.7"], "10.0.0.8", asking)
    assert questions == ["host.a"]


def test_host_names_are_resolved_by_the_system_and_kept(monkeypatch):
    names = addresses.Names()
    assert "127.0.0.1" in names("localhost")
    monkeypatch.setattr(addresses, "resolved", lambda host: frozenset())
    assert "127.0.0.1" in names("localhost")
    assert names("nowhere.invalid") == frozenset()


def test_a_name_that_does_not_resolve_any_more_keeps_its_last_addresses(monkeypatch):
    monkeypatch.setattr(addresses, "FRESH_S", -1.0)
    names = addresses.Names()
    assert "127.0.0.1" in names("localhost")
    monkeypatch.setattr(addresses, "resolved", lambda host: frozenset())
    assert "127.0.0.1" in names("localhost")


def test_a_mute_name_server_holds_a_caller_no_longer_than_its_wait(monkeypatch):
    answer = threading.Event()
    monkeypatch.setattr(addresses, "resolved", lambda host: answer.wait() and frozenset())
    monkeypatch.setattr(addresses, "WAIT_S", 0.01)
    names = addresses.Names()
    assert names("slow.hospital") == frozenset()
    answer.set()


@pytest.mark.parametrize("told", [CT1, WS1, {"ae_title": "X"}])
def test_a_peer_survives_its_json(told):
    peer = from_json(told)
    assert from_json(json.loads(json.dumps(to_json(peer)))) == peer


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ae_title", "SEVENTEEN_LETTERS"),
        ("ae_title", None),
        ("addresses", "10.0.0.7"),
        ("addresses", ["10.0.0.300"]),
        ("addresses", [7]),
        ("may", ["delete"]),
        ("may", "store"),
        ("certificate", {"sha256": "abc"}),
        ("certificate", {"subject": "no subject"}),
        ("certificate", "abc"),
        ("destinations", "WS1"),
        ("destinations", ["BACK\\SLASH"]),
        ("listens", {"host": "10.0.0.7"}),
        ("listens", {"host": "10.0.0.7", "port": 0}),
        ("listens", {"host": "10.0.0.7", "port": True}),
        ("listens", {"host": "", "port": 104}),
        ("listens", {"host": "h", "port": 104, "user": "x"}),
        ("transfer_syntaxes", ["../1"]),
        ("charset", "latin1"),
        ("non_patient_objects", 1),
        ("max_associations", 0),
        ("max_associations", "4"),
        ("note", 5),
        ("notes", ""),
    ],
)
def test_nonsense_in_a_peer_is_refused_in_one_line(field, value):
    with pytest.raises(BadInput) as refused:
        from_json({**CT1, field: value})
    assert len(str(refused.value).splitlines()) == 1


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_no_json_breaks_the_reading_of_a_peer(value):
    for field in to_json(peers.Peer("")):
        try:
            from_json({**CT1, field: value})
        except BadInput:
            pass


@pytest.fixture
def configured(tmp_path, monkeypatch):
    """Settings of a node with an empty folder; call it with more of them."""

    def configured(**settings):
        identity = dataclasses.replace(book.CONFIG.identity, users_file=tmp_path / "users.json")
        first = {"data_dir": tmp_path, "accept_loopback": False, "identity": identity}
        config = dataclasses.replace(book.CONFIG, **(first | settings))
        monkeypatch.setattr(book, "CONFIG", config)
        return Layout(tmp_path).peers

    return configured


def write(path, *told) -> None:
    path.write_text(json.dumps({"peers": list(told)}))


def test_the_settings_alone_make_a_book(configured):
    configured(peers={"CT1": "10.0.0.7"}, destinations={"WS1": Named("WS1", "ws", 104)})
    found = peers.current()
    assert found.peers["CT1"].may == EVERYTHING
    assert isinstance(peers.decide(found, peers.Caller("CT1", "", "10.0.0.7")), peers.Grant)
    assert found.destinations.keys() == {"WS1"}
    assert (found.destination("WS1").host, found.destination("WS1").port) == ("ws", 104)
    assert isinstance(peers.decide(found, peers.Caller("WS1", "", "10.0.0.7")), peers.Rejection)


def test_the_settings_lie_on_top_of_the_file(configured):
    path = configured(peers={"CT1": "10.9.9.9"}, destinations={"CT1": Named("CT1", "new", 11112)})
    write(path, CT1)
    found = peers.current().peers["CT1"]
    assert found.addresses == (*CT1["addresses"], "10.9.9.9")
    assert (found.listens.host, found.listens.port) == ("new", 11112)
    assert found.may == {"echo", "store", "commit"}  # the file knows it: its rights stand


def test_a_changed_file_counts_at_once(configured):
    path = configured()
    assert peers.current().peers == {}
    write(path, CT1)
    assert peers.current().peers.keys() == {"CT1"}
    write(path, CT1, WS1)
    assert peers.current().peers.keys() == {"CT1", "WS1"}
    path.unlink()
    assert peers.current().peers == {}


@pytest.mark.parametrize(
    "broken",
    ["{", "[]", '{"peers": {}}', '{"peers": [{"ae_title": ""}]}', "[" * 100_000, "\xff"],
)
def test_a_bad_file_leaves_the_last_good_one_in_force_and_says_so(configured, caplog, broken):
    path = configured()
    write(path, CT1)
    assert peers.current().problem == ""
    path.write_text(broken, encoding="latin-1")
    found = peers.current()
    assert found.peers.keys() == {"CT1"}
    assert found.problem.startswith("peers.json")
    assert "last good" in caplog.text
    write(path, WS1)
    assert (peers.current().peers.keys(), peers.current().problem) == ({"WS1"}, "")


def test_a_title_named_twice_is_refused(configured):
    path = configured()
    write(path, CT1, CT1)
    assert "twice" in peers.current().problem


def test_a_file_that_needs_a_person_is_never_written_over(configured):
    path = configured()
    path.write_text("{")
    with pytest.raises(Conflict):
        book.put(from_json(CT1))
    assert path.read_text() == "{"


def test_peers_are_added_changed_and_removed(configured):
    configured()
    book.put(from_json(CT1))
    assert peers.current().peers["CT1"] == from_json(CT1)
    book.change("CT1", lambda peer: dataclasses.replace(peer, note="moved"))
    assert peers.current().peers["CT1"].note == "moved"
    book.remove("CT1")
    assert peers.current().peers == {}
    with pytest.raises(NotFound):
        book.remove("CT1")


def test_what_a_setting_names_is_not_removed_here(configured):
    configured(peers={"CT1": "10.0.0.7"})
    with pytest.raises(Conflict, match="PACS_PEERS"):
        book.remove("CT1")


def test_the_file_is_whole_and_not_the_worlds(configured):
    path = configured()
    book.put(from_json(CT1))
    assert path.stat().st_mode & 0o777 == 0o640
    assert set(os.listdir(path.parent)) == {"peers.json", ".peers.json.lock"}


def test_changes_at_once_are_all_kept(configured):
    configured()
    titles = [f"CT{number}" for number in range(12)]
    threads = [
        threading.Thread(target=book.put, args=(from_json({**CT1, "ae_title": title}),))
        for title in titles
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert peers.current().peers.keys() == set(titles)
