"""The whole network as one DICOMweb server: for programs, with tokens."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.test import Client
from django.utils import timezone

from pacs_web import config
from pacs_web.accounts import tokens
from pacs_web.accounts.models import Account, ApiToken
from pacs_web.audit.models import AuditEvent
from pacs_web.nodes.models import Node
from tests.web.made_studies import CT_STUDY, RF_STUDY, SR_STUDY, ct_study, file_bytes, instance
from tests.web.node_stand_in import StandIn, node_stand_in

SERIES = f"/dicom-web/studies/{CT_STUDY}/series/{CT_STUDY}.1"


def uids(found: list[dict], tag: str) -> list[str]:
    return [one[tag]["Value"][0] for one in found]


@pytest.fixture
def token(person: Callable[[str], Account]) -> str:
    return tokens.create(person("clinician"), [tokens.DICOMWEB])


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


class TestQuery:
    def test_studies_of_all_nodes_come_newest_first(self, nodes: object, clinician: Client) -> None:
        response = clinician.get("/dicom-web/studies")
        assert response["Content-Type"] == "application/dicom+json"
        assert uids(response.json(), "0020000D") == [RF_STUDY, CT_STUDY, SR_STUDY]

    def test_the_query_reaches_the_nodes(self, nodes: object, clinician: Client) -> None:
        found = clinician.get("/dicom-web/studies?PatientName=DUPONT*").json()
        assert uids(found, "0020000D") == [RF_STUDY]

    def test_a_study_on_two_nodes_is_told_once(
        self, nodes: object, register: Callable[[StandIn], Node], clinician: Client
    ) -> None:
        with node_stand_in("COPY", ct_study(2), config.TRUST_DIR) as copy:
            register(copy)
            assert len(clinician.get("/dicom-web/studies").json()) == 3

    def test_pages_of_the_merged_answer_have_no_gap_and_no_double(
        self, nodes: object, clinician: Client
    ) -> None:
        pages = [
            clinician.get(f"/dicom-web/studies?limit=1&offset={offset}").json()
            for offset in range(4)
        ]
        assert [uids(page, "0020000D") for page in pages] == [
            [RF_STUDY],
            [CT_STUDY],
            [SR_STUDY],
            [],
        ]

    def test_a_page_tells_how_many_there_are_where_every_node_was_asked_to_its_end(
        self, nodes: object, register: Callable[..., Node], clinician: Client
    ) -> None:
        assert clinician.get("/dicom-web/studies")["X-Total-Count"] == "3"
        assert clinician.get("/dicom-web/studies?offset=2")["X-Total-Count"] == "3"
        assert "X-Total-Count" not in clinician.get("/dicom-web/studies?limit=1")
        register(SimpleNamespace(name="DEAD", url="http://127.0.0.1:9"))
        assert "X-Total-Count" not in clinician.get("/dicom-web/studies")

    def test_series_and_instances_of_a_study(self, nodes: object, clinician: Client) -> None:
        series = clinician.get(f"/dicom-web/studies/{CT_STUDY}/series").json()
        assert uids(series, "0020000E") == [f"{CT_STUDY}.1"]
        assert len(clinician.get(f"{SERIES}/instances").json()) == 5
        assert len(clinician.get(f"/dicom-web/studies/{CT_STUDY}/instances").json()) == 5

    def test_a_node_that_does_not_answer_is_named_in_a_warning(
        self, nodes: object, register: Callable[[SimpleNamespace], Node], clinician: Client
    ) -> None:
        register(SimpleNamespace(name="DEAD", url="http://127.0.0.1:9"))
        response = clinician.get("/dicom-web/studies")
        assert len(response.json()) == 3
        assert "DEAD" in response["Warning"]

    @pytest.mark.parametrize("query", ["limit=x", "offset=-1", "limit=1.5", "limit=²"])
    def test_a_nonsense_page_is_a_400_with_a_problem_document(
        self, nodes: object, clinician: Client, query: str
    ) -> None:
        response = clinician.get(f"/dicom-web/studies?{query}")
        assert response.status_code == 400
        assert response["Content-Type"] == "application/problem+json"
        assert response.json()["status"] == 400


class TestRetrieve:
    def test_a_file_comes_as_the_node_sends_it(self, ct: StandIn, clinician: Client) -> None:
        response = clinician.get(f"{SERIES}/instances/{CT_STUDY}.1.2")
        assert response["Content-Type"].startswith("multipart/related")
        assert file_bytes(ct.instances[1]) in b"".join(response.streaming_content)

    def test_metadata_comes_as_dicom_json(self, nodes: object, clinician: Client) -> None:
        response = clinician.get(f"{SERIES}/metadata")
        assert response["Content-Type"] == "application/dicom+json"
        assert b"FRJ000001" in b"".join(response.streaming_content)

    def test_the_status_of_an_archived_image_passes_through(
        self, ct: StandIn, clinician: Client
    ) -> None:
        ct.behaviour.away.add(CT_STUDY)
        response = clinician.get(f"{SERIES}/instances/{CT_STUDY}.1.1")
        assert response.status_code == 503
        assert response["Retry-After"] == "60"
        assert b"in the archive" in b"".join(response.streaming_content)

    def test_an_unknown_study_is_a_404(self, nodes: object, clinician: Client) -> None:
        assert clinician.get("/dicom-web/studies/1.2.3/metadata").status_code == 404

    @pytest.mark.parametrize(
        "path",
        [
            "studies/1..2/metadata",
            f"studies/{CT_STUDY}/../../api/node",
            f"studies/{CT_STUDY}/..%2f..%2fapi",
            f"studies/{CT_STUDY}/metadata%3Fa=b",
            "studies/1.2;x/metadata",
        ],
    )
    def test_a_path_that_is_no_dicomweb_reaches_no_node(
        self, ct: StandIn, clinician: Client, path: str
    ) -> None:
        assert clinician.get(f"/dicom-web/{path}").status_code in {400, 404}
        assert not [asked for asked in ct.asked if "api" in asked or "a=b" in asked]

    def test_what_is_no_resource_is_a_404(self, nodes: object, clinician: Client) -> None:
        assert clinician.get("/dicom-web/patients").status_code == 404

    def test_a_retrieval_is_audited_once(self, nodes: object, clinician: Client) -> None:
        for _ in range(3):
            clinician.get(f"{SERIES}/metadata").close()
        assert AuditEvent.objects.get(action="dicomweb").study_uid == CT_STUDY


class TestTokens:
    def test_a_bearer_token_opens_the_network(
        self, nodes: object, client: Client, token: str
    ) -> None:
        response = client.get("/dicom-web/studies", headers=bearing(token))
        assert len(response.json()) == 3
        assert AuditEvent.objects.get(action="search").who == "clinician"

    def test_the_token_is_also_taken_as_the_password_of_basic(
        self, nodes: object, client: Client, token: str
    ) -> None:
        basic = base64.b64encode(f"anything:{token}".encode()).decode()
        response = client.get("/dicom-web/studies", headers={"Authorization": f"Basic {basic}"})
        assert response.status_code == 200

    @pytest.mark.parametrize("given", ["Bearer nonsense", "Bearer ", "Basic ???", "Basic eA=="])
    def test_a_wrong_token_is_401_even_with_a_session(
        self, nodes: object, clinician: Client, given: str
    ) -> None:
        response = clinician.get("/dicom-web/studies", headers={"Authorization": given})
        assert response.status_code == 401
        assert "Basic" in response["WWW-Authenticate"]

    def test_an_expired_token_is_401(self, nodes: object, client: Client, token: str) -> None:
        ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        assert client.get("/dicom-web/studies", headers=bearing(token)).status_code == 401

    def test_a_token_of_somebody_who_left_is_401(
        self, nodes: object, client: Client, token: str
    ) -> None:
        Account.objects.update(is_active=False)
        assert client.get("/dicom-web/studies", headers=bearing(token)).status_code == 401

    def test_a_token_gives_no_right_that_its_owner_lacks(
        self, nodes: object, client: Client, person: Callable[[str], Account]
    ) -> None:
        given = tokens.create(person("it"), [tokens.DICOMWEB])
        assert client.get("/dicom-web/studies", headers=bearing(given)).status_code == 403

    def test_a_token_without_the_scope_is_403(
        self, nodes: object, client: Client, person: Callable[[str], Account]
    ) -> None:
        given = tokens.create(person("clinician"), [])
        assert client.get("/dicom-web/studies", headers=bearing(given)).status_code == 403

    def test_a_token_opens_no_page(self, client: Client, token: str) -> None:
        assert client.get("/", headers=bearing(token)).status_code == 302

    def test_only_the_digest_of_a_token_is_stored(self, token: str) -> None:
        stored = ApiToken.objects.get()
        assert token not in (stored.digest, stored.label)
        assert stored.digest == tokens.digest_of(token)

    def test_the_use_of_a_token_is_noted(self, client: Client, token: str) -> None:
        client.get("/dicom-web/studies", headers=bearing(token))
        assert ApiToken.objects.get().last_used_at is not None


class TestIntrospection:
    def ask(self, token: object) -> dict:
        strict = Client(enforce_csrf_checks=True)
        body = {"token": token}
        response = strict.post("/api/introspect", body, content_type="application/json")
        assert response.status_code == 200
        return response.json()

    def test_tells_whose_an_active_token_is(self, token: str) -> None:
        assert self.ask(token) == {
            "active": True,
            "subject": "clinician",
            "scopes": ["dicomweb"],
        }

    @pytest.mark.parametrize("wrong", ["", "nonsense", 7, None, ["x"]])
    def test_tells_nothing_of_any_other(self, db: None, wrong: object) -> None:
        assert self.ask(wrong) == {"active": False}

    def test_grants_only_what_the_owner_may_do(self, person: Callable[[str], Account]) -> None:
        given = tokens.create(person("it"), [tokens.DICOMWEB])
        assert self.ask(given)["scopes"] == []

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"null", b"\xff"])
    def test_a_body_that_is_no_question_is_a_400(
        self, db: None, client: Client, body: bytes
    ) -> None:
        response = client.post("/api/introspect", body, content_type="application/json")
        assert response.status_code == 400
        assert response["Content-Type"] == "application/problem+json"

    def test_is_only_posted(self, db: None, client: Client) -> None:
        assert client.get("/api/introspect").status_code == 405


def test_instances_of_all_studies_can_be_asked(nodes: dict, clinician: Client) -> None:
    nodes["RF"].instances.append(instance("1.2.9", 1, 1, "OT"))
    assert len(clinician.get("/dicom-web/instances").json()) == 8
    assert len(clinician.get("/dicom-web/series").json()) == 4
