"""What the archive says is shown in the reader's language, with sizes and times as people read."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from pacs_common.errors import Conflict
from pacs_common.sentences import TEMPLATES, names_in, say
from pacs_web.archive.sentences import SENTENCES
from pacs_web.archive.telling import in_language, refusal
from tests.web.archive_answers import NODE, NOW, Archive
from tests.web.test_archive_dashboard import ALARM

pytestmark = pytest.mark.slow

AT = datetime(2028, 12, 30, 12, 22, tzinfo=UTC)
FULL = (
    "CR is above its high watermark and nothing may be evicted: 70020816896 bytes are left, "
    "full at 2028-12-30 12:22 UTC"
)


class Asked(dict[str, Any]):
    """Values that remember which of them were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __missing__(self, name: str) -> Any:
        self.names.add(name)
        return 2


def sample(name: str) -> Any:
    ending = name.rpartition("_")[2] if "_" in name else ""
    known = {"bytes": 7 * 10**10, "at": AT, "on": date(2028, 12, 30), "count": 2, "days": 30.0}
    return (known | {"s": 90.0, "percent": 0.923}).get(ending, "X7")


def in_french(text: str) -> str:
    with translation.override("fr"):
        return in_language(text)


def test_each_sentence_of_the_archive_has_its_own_here() -> None:
    assert set(SENTENCES) == set(TEMPLATES)


@pytest.mark.parametrize("key", sorted(TEMPLATES))
@pytest.mark.parametrize("language", ["en", "fr"])
def test_each_names_the_same_values_in_each_language(key: str, language: str) -> None:
    with translation.override(language):
        asked = Asked()
        assert str(SENTENCES[key] % asked)
        assert asked.names == names_in(TEMPLATES[key])


@pytest.mark.parametrize("key", sorted(TEMPLATES.keys() - {"held-because"}))
def test_each_is_another_text_in_french(key: str) -> None:
    text = say(key, **{name: sample(name) for name in names_in(TEMPLATES[key])})
    with translation.override("en"):
        english = in_language(text)
    assert in_french(text) not in (english, text)


def test_sizes_moments_and_shares_are_written_as_the_reader_does() -> None:
    assert in_french(FULL) == (
        "CR dépasse son seuil haut, et rien ne peut partir : il reste 70,0 Go, plein le "
        "30/12/2028 13:22."
    )
    shown = in_french(say("list-disk-full", used_percent=0.923, mark_percent=0.85))
    assert shown == "le disque est plein à 92,3\u00a0%, au-dessus de 85\u00a0%"
    shown = in_french(say("scrub-overdue", volume="A1", vault="v", read_on=date(2026, 11, 21)))
    assert shown.endswith("depuis le 21/11/2026.")


def test_a_sentence_in_a_sentence_is_said_in_the_language_too() -> None:
    held = say("held-by-person-because", hold_kind="legal", reason="expertise", person="marie")
    text = say("stays", why=say("held", why=held))
    assert in_french(text) == "reste : retenu : juridique (expertise), par marie"


def test_one_is_not_several() -> None:
    with translation.override("en"):
        assert "1 image has" in in_language(say("lost", study_uid="1.2", node="CT", lost_count=1))
        assert "2 images have" in in_language(say("lost", study_uid="1.2", node="CT", lost_count=2))


@pytest.mark.parametrize("unknown", ["", "what a newer archive may say", "<b>%(x)s {y}</b>"])
def test_a_text_that_is_unknown_is_shown_as_it_is(unknown: str) -> None:
    assert in_french(unknown) == unknown


def test_sentences_without_end_end() -> None:
    text = "X"
    for _ in range(40):
        text = say("stays", why=text)
    assert "stays" in in_french(text)


def test_a_refusal_is_told_without_the_answers_number() -> None:
    why = say("job-in-state", job=3, job_state="running", job_act="retried")
    answered = say("peer-answered", peer="the archive", status=409, why=why)
    with translation.override("fr"):
        told = refusal(Conflict(answered))
    assert told == "La tâche 3 (en cours) ne peut pas être relancée."


@pytest.mark.parametrize("language", ["en", "fr"])
def test_pages_tell_alarms_lists_and_jobs_in_the_language(
    archive: Archive, operator: Client, language: str
) -> None:
    archive.policy.alarms[:] = [ALARM | {"text": FULL}]
    archive.policy.nodes[:] = [NODE | {"error": "CR: did not answer in time"}]
    archive.policy.lists += [
        {"id": 1, "node": "CR", "state": "proposed", "why": "space for a recall", "studies": 1}
        | {"wanted_bytes": 1, "listed_bytes": 1, "made_at": NOW, "decided_at": None}
        | {"decided_by": ""}
    ]
    archive.policy.listed += [
        {"study_uid": "1.2.3", "instances": 1, "size_bytes": 1, "last_used_at": NOW}
        | {"why": "stays: not proven in vault-1", "job": None}
    ]
    on_shelf = {"id": 5, "error": "volume A1 of v lies on the shelf"}
    archive.work.add("copy", "1.2.3", "failed", **on_shelf)

    def page(address: str) -> str:
        answer = operator.get(address, headers={"Accept-Language": language})
        return answer.content.decode().replace("&#x27;", "'")

    for address, text in (
        ("/archive/", FULL),
        ("/archive/", "CR: did not answer in time"),
        ("/archive/alarms/", FULL),
        ("/archive/evictions/", "space for a recall"),
        ("/archive/evictions/1/", "space for a recall"),
        ("/archive/evictions/1/", "stays: not proven in vault-1"),
        ("/archive/jobs/", "volume A1 of v lies on the shelf"),
        ("/archive/jobs/5/", "volume A1 of v lies on the shelf"),
    ):
        with translation.override(language):
            shown = in_language(text)
        assert shown in page(address), (address, shown)
        assert language == "en" or text not in page(address)
