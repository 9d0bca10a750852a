"""Pages of other origins: what a browser is told that they may do with DICOMweb (CORS)."""

from __future__ import annotations

import pytest
from django.test import Client

from dicom_node.config.web import origins
from pacs_common.env import SettingError

VIEWER, OTHER = "https://viewer.hospital:8443", "https://evil.example"
STUDIES = "/dicom-web/studies"


def preflight(
    origin: str, path: str = STUDIES, *, method: str = "GET", asked: str = "authorization,range"
):
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": asked,
    }
    return Client().options(path, headers=headers)


@pytest.fixture
def viewer_allowed(settings):
    settings.CORS_ALLOWED_ORIGINS = [VIEWER]


@pytest.mark.parametrize("origin", [VIEWER, "null"])
def test_no_origin_is_let_in_by_default(db, portal, origin):
    assert "Access-Control-Allow-Origin" not in preflight(origin)
    answer = portal.get(STUDIES, headers={"Origin": origin})
    assert "Access-Control-Allow-Origin" not in answer


def test_a_preflight_of_an_allowed_origin_is_answered_without_credentials(viewer_allowed):
    answer = preflight(VIEWER)
    assert answer.status_code == 200
    assert answer["Access-Control-Allow-Origin"] == VIEWER
    allowed = answer["Access-Control-Allow-Headers"].lower()
    assert {"authorization", "accept", "range", "if-none-match"} <= set(allowed.split(", "))
    assert "Access-Control-Allow-Credentials" not in answer


def test_an_allowed_origin_reads_answers_refusals_and_their_headers(db, viewer_allowed, portal):
    answer = portal.get(STUDIES, headers={"Origin": VIEWER})
    assert answer["Access-Control-Allow-Origin"] == VIEWER
    exposed = set(answer["Access-Control-Expose-Headers"].split(", "))
    assert {"ETag", "Warning", "X-Total-Count", "Content-Location", "X-Picture-Window"} <= exposed
    refused = Client().get(STUDIES, headers={"Origin": VIEWER})
    assert (refused.status_code, refused["Access-Control-Allow-Origin"]) == (401, VIEWER)


def test_other_origins_and_other_doors_stay_closed(db, viewer_allowed, portal):
    assert "Access-Control-Allow-Origin" not in preflight(OTHER)
    assert "Access-Control-Allow-Origin" not in preflight(VIEWER, "/api/node")
    assert "Access-Control-Allow-Origin" not in preflight(VIEWER, "/dicom-webs")


@pytest.mark.parametrize(
    "origin",
    [
        *("null", "https://viewer.hospital", "http://viewer.hospital:8443", "https://VIEWER:8443"),
        *(f"{VIEWER}.evil.example", f"{VIEWER}@evil.example", f"{OTHER}#{VIEWER}"),
        *("https://not-viewer.hospital:8443", "https://[", "", f"{VIEWER}, {OTHER}", "*"),
    ],
)
def test_what_only_resembles_an_allowed_origin_is_another(db, viewer_allowed, portal, origin):
    for answer in (preflight(origin), portal.get(STUDIES, headers={"Origin": origin})):
        assert "Access-Control-Allow-Origin" not in answer
        assert "Access-Control-Allow-Credentials" not in answer


@pytest.mark.parametrize(
    ("method", "path", "asked"),
    [
        ("POST", STUDIES, "authorization,content-type"),
        ("POST", f"{STUDIES}/1.2", "authorization,content-type,accept"),
        ("DELETE", f"{STUDIES}/1.2", "authorization"),
        ("DELETE", f"{STUDIES}/1.2/series/1.3/instances/1.4", "authorization"),
        ("GET", "/wado", "authorization"),
    ],
)
def test_storing_and_rejecting_are_announced_to_an_allowed_origin(
    viewer_allowed, method, path, asked
):
    answer = preflight(VIEWER, path, method=method, asked=asked)
    assert method in answer["Access-Control-Allow-Methods"].split(", ")
    headers = answer["Access-Control-Allow-Headers"].lower().split(", ")
    assert set(asked.split(",")) <= set(headers)
    assert not {"PUT", "PATCH"} & set(answer["Access-Control-Allow-Methods"].split(", "))


@pytest.mark.parametrize("allowed", [[VIEWER], []])
@pytest.mark.parametrize("origin", [VIEWER, OTHER, None])
def test_no_cache_gives_the_answer_of_one_origin_to_another(db, settings, portal, allowed, origin):
    settings.CORS_ALLOWED_ORIGINS = allowed
    headers = {"Origin": origin} if origin else {}
    for answer in (
        portal.get(STUDIES, headers=headers),
        Client().get(STUDIES, headers=headers),
        Client().options(STUDIES, headers=headers | {"Access-Control-Request-Method": "GET"}),
    ):
        assert "origin" in {name.strip().lower() for name in answer["Vary"].split(",")}


@pytest.mark.parametrize("origin", [VIEWER, OTHER, "null"])
def test_any_origin_is_let_in_without_credentials(db, settings, portal, origin):
    settings.CORS_ALLOW_ALL_ORIGINS = True
    assert settings.CORS_ALLOW_CREDENTIALS is False
    refused = Client().get(STUDIES, headers={"Origin": origin, "Cookie": "sessionid=x"})
    assert refused.status_code == 401
    for answer in (preflight(origin), portal.get(STUDIES, headers={"Origin": origin}), refused):
        assert answer["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("*", ("*",)),
        (f"{VIEWER}/, http://127.0.0.1:3000", (VIEWER, "http://127.0.0.1:3000")),
        ("http://[::1]:3000", ("http://[::1]:3000",)),
    ],
)
def test_origins_are_read(text, expected):
    assert origins(text, "PACS_CORS_ORIGINS") == expected


@pytest.mark.parametrize(
    "text", ["viewer", "https://a/b", "ftp://a", "https://", f"*,{VIEWER}", "https://a b", "null"]
)
def test_what_is_no_origin_is_refused_at_start(text):
    with pytest.raises(SettingError, match="PACS_CORS_ORIGINS"):
        origins(text, "PACS_CORS_ORIGINS")
