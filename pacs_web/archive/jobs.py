"""Archive jobs, made ready for a page; and the filters of their list, read without trust."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from pacs_web.archive.moments import moment, wait
from pacs_web.archive.telling import in_language
from pacs_web.archive.waiting import in_words
from pacs_web.archive.words import JOB_ACTIONS, JOB_KINDS, JOB_STATES, OPEN_STATES, said

JOBS_A_PAGE = 50
FIELDS = ("state", "kind", "node", "vault", "volume", "study")
OF_ALL = ("state", "kind", "node", "vault")  # by what the archive finds "all that match"
MOST_CHARS = 64


def percent(job: Mapping[str, Any]) -> int:
    """Return how much of a job is done, by bytes where they are known, else by instances."""
    progress = job.get("progress") or {}
    for done, total in (("bytes_done", "bytes_total"), ("instances_done", "instances_total")):
        if progress.get(total):
            return min(100, round(100 * (progress.get(done) or 0) / progress[total]))
    return 100 if job.get("state") == "done" else 0


def shown(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job with its words, its times as times, its progress as percent and time left."""
    queue = job.get("queue") or {}
    state = str(job.get("state", ""))
    actions = [name for name in JOB_ACTIONS if name in (job.get("actions") or [])]
    return {
        **job,
        "kind_text": said(JOB_KINDS, job.get("kind", "")),
        "state_text": said(JOB_STATES, state),
        "buttons": [(name, JOB_ACTIONS[name]) for name in actions],
        "may_rank": "priority" in (job.get("actions") or []),
        "percent": percent(job),
        "error": in_language(job.get("error")),
        "left": wait((job.get("progress") or {}).get("seconds_left")),
        "waits": in_words(str(job.get("waits_for") or "")),
        "ahead": queue.get("ahead"),
        "expected": wait(queue.get("expected_s")),
        "created": moment(job.get("created_at")),
        "started": moment(job.get("started_at")),
        "due": moment(job.get("due_at")),
        "updated": moment(job.get("updated_at")),
        "open": state in OPEN_STATES,
    }


@dataclass(frozen=True)
class JobFilters:
    """Which jobs are asked for, and which page of them (1 is the first)."""

    asked: Mapping[str, str]
    page: int = 1

    @classmethod
    def of(cls, query: Mapping[str, Any]) -> JobFilters:
        """Read the filters of a query or a form; what is nonsense is left out."""
        given = {name: str(query.get(name, "")).strip()[:MOST_CHARS] for name in FIELDS}
        if given["state"] not in {"open", *JOB_STATES}:
            given["state"] = ""
        if given["kind"] not in JOB_KINDS:
            given["kind"] = ""
        told = {name: text.replace("\x00", "") for name, text in given.items()}
        return cls(told, page_of(query))

    @property
    def told(self) -> dict[str, str]:
        """The filters that are set."""
        return {name: text for name, text in self.asked.items() if text}

    @property
    def query(self) -> str:
        """The same as it stands in an address, without the page."""
        return urlencode(self.told)

    @property
    def are_of_all(self) -> bool:
        """Whether the archive can find all that match by itself."""
        return all(name in OF_ALL for name in self.told)

    def page_asked(self) -> dict[str, str | int]:
        """Return what the archive is asked for."""
        return {**self.told, "limit": JOBS_A_PAGE, "offset": (self.page - 1) * JOBS_A_PAGE}


def page_of(query: Mapping[str, Any]) -> int:
    """Return the page that is asked for, the first where that is nonsense."""
    text = str(query.get("page", ""))
    return max(1, int(text)) if text.isascii() and text.isdecimal() and len(text) < 7 else 1


@dataclass(frozen=True)
class Pages:
    """Where a page of `size` rows stands among `total`."""

    page: int
    size: int
    total: int

    @property
    def last(self) -> int:
        """The number of the last page."""
        return max(1, -(-self.total // self.size))

    @property
    def newer(self) -> int:
        """The page before this one; 0 where this is the first."""
        return min(self.page - 1, self.last)

    @property
    def older(self) -> int:
        """The page after this one; 0 where this is the last."""
        return self.page + 1 if self.page < self.last else 0
