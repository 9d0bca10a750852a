"""Servers of other makers: how they are reached, and what of their ways is put right."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_common.errors import ArgensError, BadInput, NotFound, PeerUnreachable
from pacs_web import config
from pacs_web.federation.dicom_json import text, values
from pacs_web.nodes import registry
from pacs_web.nodes.addresses import checked_host, checked_url, resolved
from pacs_web.nodes.models import Authentication, Kind, Node
from pacs_web.nodes.sealing import sealed, unsealed
from pacs_web.nodes.servers.query import widened
from pacs_web.nodes.servers.questions import Question
from tests.support.certificates import Authority, Paper
from tests.web.foreign_stand_in import Foreign, foreign_stand_in, study

MANY = [study(number) for number in range(25)]


@pytest.fixture
def foreign() -> Iterator[Foreign]:
    with foreign_stand_in(MANY) as running:
        yield running


def client_of(running: Foreign, **fields: object):
    """Return a client of a row (not saved) that names this server."""
    row = Node(name="CLINIC", kind=Kind.DICOMWEB, url=running.url, issuer="CLINIC", **fields)
    return registry.client_of(row, "clinician", 5)


class TestItsWays:
    def test_answers_get_the_issuer_and_single_modalities_and_our_addresses(
        self, foreign: Foreign
    ) -> None:
        foreign.studies[0] = study(0, **{"00100021": {"vr": "LO", "Value": ["ELSEWHERE"]}})
        first, second = client_of(foreign).qido("studies", {"limit": 2})
        assert [text(one, "IssuerOfPatientID") for one in (first, second)] == [
            "ELSEWHERE",
            "CLINIC",
        ]
        assert values(second, "ModalitiesInStudy") == ["CT", "SR"]
        assert second["00081190"]["Value"] == ["/dicom-web/studies/1.2.1"]

    @pytest.mark.parametrize("how", [{"answers_at_once": 10}, {}])
    def test_pages_that_a_server_cuts_are_asked_for_to_their_end(
        self, foreign: Foreign, how: dict
    ) -> None:
        foreign.at_once, foreign.warns = 10, not how
        assert len(client_of(foreign, **how).qido("studies", {"limit": 25})) == 25
        assert len(foreign.asked) == 3

    def test_a_server_that_keeps_no_limit_is_cut(self, foreign: Foreign) -> None:
        foreign.studies = MANY
        asked = client_of(foreign).qido("studies", {"limit": 3, "offset": 1})
        assert [text(one, "StudyInstanceUID") for one in asked] == ["1.2.1", "1.2.2", "1.2.3"]

    def test_no_content_is_no_answer(self, foreign: Foreign) -> None:
        foreign.studies = []
        assert client_of(foreign).qido("studies", {}) == []

    def test_paths_of_its_services_are_put_before_ours(self, foreign: Foreign) -> None:
        foreign.url = foreign.url.removesuffix("/rs")
        client_of(foreign, qido_path="/rs/").qido("studies", {"limit": 1})
        assert foreign.asked[0].startswith("/rs/studies?")

    @pytest.mark.parametrize("nonsense", [[{}], [{"0020000D": {"Value": ["../1"]}}], ["x"]])
    def test_what_bears_no_uid_is_a_failure(self, foreign: Foreign, nonsense: list) -> None:
        foreign.studies = nonsense
        with pytest.raises(PeerUnreachable, match="no DICOM JSON"):
            client_of(foreign).qido("studies", {})

    def test_wado_uri_is_passed_to_no_foreign_server(self, foreign: Foreign) -> None:
        with pytest.raises(NotFound), client_of(foreign).dicomweb("wado", params={"x": "y"}):
            pass
        assert foreign.asked == []

    def test_a_redirect_is_not_followed(self, foreign: Foreign) -> None:
        with foreign_stand_in([]) as elsewhere:
            foreign.redirects_to = elsewhere.url
            with pytest.raises(ArgensError):
                client_of(foreign).qido("studies", {})
            assert elsewhere.asked == []

    def test_nothing_of_our_callers_login_is_passed_on(self, foreign: Foreign) -> None:
        headers = {
            "Cookie": "argens_session=1",
            "Authorization": "Bearer ours",
            "Range": "bytes=0-",
        }
        with client_of(foreign).dicomweb("studies/1.2.1", headers=headers):
            pass
        assert not {"Cookie", "Authorization"} & foreign.told[0].keys()
        assert foreign.told[0]["Range"] == "bytes=0-"


class TestWhoAsks:
    @pytest.mark.parametrize(
        ("how", "user", "expected"),
        [
            (Authentication.BEARER, "", "Bearer s3cret"),
            (Authentication.BASIC, "portal", "Basic cG9ydGFsOnMzY3JldA=="),
        ],
    )
    def test_a_secret_is_shown_with_each_question(
        self, foreign: Foreign, how: str, user: str, expected: str
    ) -> None:
        foreign.wants = expected
        secret = {"authentication": how, "user": user, "sealed_secret": sealed("s3cret")}
        assert client_of(foreign, **secret).status()["took_ms"] >= 0
        with pytest.raises(ArgensError):
            client_of(foreign).status()

    def test_a_secret_is_encrypted_and_needs_the_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        kept = sealed("s3cret")
        assert "s3cret" not in kept
        assert sealed("s3cret") != kept
        assert unsealed(kept, "X") == "s3cret"
        monkeypatch.setattr(config, "REGISTRY_KEY", "another key for the registry")
        assert unsealed(kept, "X") == "s3cret"
        kept = sealed("s3cret")
        monkeypatch.setattr(config, "SECRET_KEY", "rotated")
        assert unsealed(kept, "X") == "s3cret"
        monkeypatch.setattr(config, "REGISTRY_KEY", "")
        with pytest.raises(PeerUnreachable, match="X: its password was kept under another key"):
            unsealed(kept, "X")


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Paper | Authority]:
    folder = tmp_path_factory.mktemp("papers")
    authority = Authority(folder)
    return {
        "authority": authority,
        "server": authority.issue("server"),
        "portal": authority.issue("portal"),
        "stranger": Authority(folder, "Elsewhere").issue("stranger"),
    }


class TestMutualTls:
    @pytest.fixture
    def guarded(self, papers: dict) -> Iterator[Foreign]:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(papers["server"].certificate, papers["server"].key)
        tls.load_verify_locations(papers["authority"].certificate)
        tls.verify_mode = ssl.CERT_REQUIRED
        with foreign_stand_in(MANY, tls) as running:
            yield running

    def shown(self, papers: dict, who: str) -> dict[str, str]:
        return {
            "authority": Path(papers["authority"].certificate).read_text(),
            "certificate": papers[who].certificate.read_text(),
            "sealed_key": sealed(papers[who].key.read_text()),
        }

    def test_the_portals_certificate_opens_it(self, guarded: Foreign, papers: dict) -> None:
        found = client_of(guarded, **self.shown(papers, "portal")).qido("studies", {"limit": 1})
        assert len(found) == 1

    def test_a_strangers_certificate_does_not(self, guarded: Foreign, papers: dict) -> None:
        with pytest.raises(PeerUnreachable):
            client_of(guarded, **self.shown(papers, "stranger")).status()

    def test_a_server_of_another_authority_is_not_believed(
        self, guarded: Foreign, papers: dict
    ) -> None:
        with pytest.raises(PeerUnreachable, match="CERTIFICATE_VERIFY_FAILED"):
            client_of(guarded).status()

    def test_papers_that_cannot_be_used_are_named(self, guarded: Foreign, papers: dict) -> None:
        broken = self.shown(papers, "portal") | {"sealed_key": sealed("no key")}
        with pytest.raises(PeerUnreachable, match="its certificates cannot be used"):
            client_of(guarded, **broken).status()


class TestAddresses:
    @pytest.mark.parametrize(
        "url",
        [
            "http://127.0.0.1:8042/dicom-web",
            "https://pacs.hospital/dcm4chee-arc/aets/DCM4CHEE/rs",
            "http://[::1]:8042",
            "http://10.0.0.9",
        ],
    )
    def test_the_hospitals_own_are_taken(self, url: str) -> None:
        assert checked_url(f" {url}/ ") == url

    @pytest.mark.parametrize(
        "url",
        [
            "ftp://pacs", "file:///etc/passwd", "pacs", "", "http://", "http://user:word@pacs/",
            "http://pacs/?x=1", "http://pacs/#x", "http://pacs:0/", "http://pacs:70000/",
            "http://pacs/../admin", "http://pa cs/", "http://169.254.169.254/latest",
            "http://[fe80::1]/", "http://[::ffff:169.254.169.254]/", "http://0.0.0.0/",
            "http://224.0.0.1/", "http://100.100.100.200/", "http://metadata.google.internal/",
            "http://[fd00:ec2::254]/", "http://[::/",
        ],
    )  # fmt: skip
    def test_what_is_no_server_of_images_is_refused(self, url: str) -> None:
        with pytest.raises(BadInput):
            checked_url(url)

    @given(st.text(max_size=40))
    def test_any_text_is_an_address_or_refused_with_a_reason(self, url: str) -> None:
        for written in (url, f"http://{url}", f"https://pacs/{url}"):
            try:
                taken = checked_url(written)
            except BadInput as error:
                assert str(error)
            else:
                assert taken.startswith(("http://", "https://"))
                assert "@" not in taken.split("/")[2]

    def test_a_name_that_leads_to_such_an_address_is_not_asked(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert resolved("localhost", 80)
        found = [(2, 1, 6, "", ("169.254.169.254", 80))]
        monkeypatch.setattr("socket.getaddrinfo", lambda *args, **kwargs: found)
        with pytest.raises(BadInput, match=r"169\.254"):
            resolved("pacs.hospital", 80)
        row = Node(name="X", kind=Kind.DICOMWEB, url="http://pacs.hospital")
        with pytest.raises(PeerUnreachable, match="never asked"):
            registry.client_of(row, "it", 5).status()

    def test_hosts_of_dicom_peers_are_held_to_the_same(self) -> None:
        assert checked_host("pacs-1.hospital") == "pacs-1.hospital"
        for host in ("", "a b", "169.254.1.1", "x" * 300):
            with pytest.raises(BadInput):
                checked_host(host)


@given(st.text(max_size=30))
def test_a_widened_pattern_finds_all_that_the_pattern_finds(pattern: str) -> None:
    wide = widened(pattern)
    if "*" not in pattern:
        assert wide == pattern
        return
    assert wide.isascii()
    plain = [one for one in pattern if one.isascii() and one.isalnum()]
    assert [one for one in wide if one.isalnum()] == plain


@given(
    st.lists(st.from_regex(r"[A-Z]{2}", fullmatch=True), max_size=4),
    st.sampled_from([",", "\\"]),
)
def test_each_modality_of_a_list_is_asked_for_once(modalities: list[str], between: str) -> None:
    question = Question.of("studies", {"ModalitiesInStudy": between.join(modalities)})
    asked = [one.get("ModalitiesInStudy", [""])[0] for one in question.variants()]
    assert asked == (modalities or [""])
