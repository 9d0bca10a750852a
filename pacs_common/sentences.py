"""What the archive tells people: one sentence for each thing that it says, with named values.

`say` makes the English text, which rows, mails, logs and problem documents hold; `read` recognises
such a text again, so that whoever shows it can say the same in another language. Values end in what
they are: `_bytes` an amount of data, `_at` a moment, `_on` a day, `_count` a number, `_days` and
`_s` a duration, `_percent` a share (0.85 is 85 %). WORDS hold no spaces; NESTED ones may be
sentences themselves; the others are any text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any

TEMPLATES: Mapping[str, str] = MappingProxyType(
    {
        # alarms
        "disk-high": "{node} is above its high watermark and nothing may be evicted: {left}",
        "disk-fills": "{node} fills and only {evictable_bytes} may be evicted: {left}",
        "disk-list-waits": "{node} fills and its eviction list waits for approval: {left}",
        "left": "{free_bytes} are left",
        "left-until": "{free_bytes} are left, full at {full_at}",
        "copies-behind": "{node} has studies without their copies since {since_at}",
        "node-silent": "{node} is silent since {since_at}",
        "vault-missing": "vault {vault}: {why}",
        "job-failed": "{job_kind} {place}: a job failed: job {job}, {why}",
        "jobs-failed": "{job_kind} {place}: {jobs_count} {job_kind} jobs failed: job {job}, {why}",
        "lost": "study {study_uid} of {node}: {lost_count} instances have no good copy anywhere",
        "no-good-copy": "{study_uid} of {node} has no good copy, and is not online: {why}",
        "scrub-overdue": "volume {volume} of {vault} was not read whole since {read_on}",
        "vault-not-mounted": "nothing is mounted on {folder}",
        "vault-not-there": "{folder} holds no {vault_kind} (is it mounted?)",
        "vault-changed": "{folder} is another {vault_kind} than it was",
        "vault-swapped": "{folder} is another vault than {vault} was",
        # what becomes of a study
        "away": "it is away",
        "stays-until-needed": "it stays until space is needed",
        "not-proven": "not proven in {vaults}",
        "rule": "rule {rule}",
        "rule-because": "rule {rule}, {reason}",
        "rule-wants-online": "rule {rule} wants it online",
        "held": "held: {why}",
        "held-by-person": "{hold_kind}, by {person}",
        "held-by-person-because": "{hold_kind} ({reason}), by {person}",
        "held-because": "{hold_kind} ({reason})",
        "held-by-node": "by its node",
        "unused": "unused for {unused_days} days",
        "online": "it is online",
        "in-vault": "it is in {vault}",
        "nowhere": "neither online nor in another vault",
        "arrived": "something arrived within {quiet_s} s",
        "young": "something arrived within {least_days} days",
        "digests-missing": "its node has not computed all digests",
        "quarantined": "{quarantined_count} of it wait for a decision in quarantine",
        "incomplete": "a transfer of it did not end well",
        "no-vault-required": "no vault is required, so nothing proves it",
        # eviction lists
        "list-by-age": "by age",
        "list-for-recall": "space for a recall",
        "list-disk-full": "the disk is {used_percent} full, above {mark_percent}",
        "longest-unused": "the longest unused",
        "stays": "stays: {why}",
        # refusals
        "job-unknown": "there is no job {job}",
        "job-in-state": "job {job} is {job_state}: it cannot be {job_act}",
        "job-twin": "job {job} does this already",
        "job-twin-now": "another job does this already",
        "list-unknown": "there is no list {list}",
        "list-decided": "list {list} is {list_state} already",
        "rule-unknown": "there is no rule {rule}",
        "rule-named-alike": "another rule is called '{name}'",
        "hold-unknown": "there is no hold {hold}",
        "hold-there": "a {hold_kind} hold is on this study already",
        "hold-released": "hold {hold} was released already",
        "alarm-unknown": "there is no alarm {alarm}",
        "window-unknown": "there is no window {window}",
        "request-unknown": "there is no request {request}",
        "request-ended": "request {request} was ended by {person}",
        "refilled": "{studies_count} studies are back",
        "refilled-but": "{studies_count} studies are back, {missing_count} are not whole: "
        "{study_uid}: {why}",
        "node-unknown": "no node is called '{name}' here",
        "volume-unknown": "{vault} has no volume {volume}",
        "volume-in-state": "volume {volume} is {volume_state}: {volume_act} is not possible",
        "volume-alone": "of {copies_count} copies something lies on {volume} alone: evacuate it "
        "first (the first is {member})",
        "volume-retired": "volume {volume} of {vault} is retired",
        "volume-in-use": "volume {volume} of {vault} is in use: try again",
        "marks-crossed": "low_watermark is above high_watermark",
        # what was inserted
        "barcode-other": "the barcode says '{barcode}', and {volume} is wanted",
        "inserted-other": "'{barcode}' was inserted, not {volume}",
        "inserted-nothing": "there is no {volume} in {folder}",
        "inserted-strange": "what lies in {folder} does not say that it is {volume} of here",
        "changer-sees-none": "{vault}: the changer sees no cartridge with barcode {volume}",
        "barcode-lies": "volume {volume} of {vault} is not what its barcode says: {why}",
        "drive-unknown": "{vault} has no drive {drive}",
        "drive-in-use": "drive {drive} of {vault} is in use: try again",
        "slots-taken": "all {slots_count} slots of {vault} are taken: shelve a volume",
        "every-slot-taken": "{vault}: every slot is taken",
        "no-shelf": "{vault} is a {vault_kind}: it has no shelf",
        # what hinders a job, and what it notes
        "given-up": "{why} (given up after {attempts_count} attempts)",
        "unexpected": "unexpected {error}: {why}",
        "on-shelf": "volume {volume} of {vault} lies on the shelf",
        "no-scratch": "{vault}: no scratch volume is in the library: insert one",
        "volume-disk-full": "the disk beneath volume {volume} of {vault} has no space left",
        "too-large": "{size_bytes} do not fit on a volume of {volume_bytes}",
        "volume-fault": "volume {volume} of {vault}: {why}",
        "suspect-now": "{why}: it is suspect now, evacuate it",
        "copy-bad": "the copy on {volume} ({member}) is bad: {why}",
        "member-missing": "volume {volume} has no {member}",
        "copies-bad": "{copies_count} copies on {volume} were bad: they are written anew",
        "members-alone": "{members_count} members of {volume} lie there alone and could not be "
        "brought, the first is of {study_uid} on {node}: {why}",
        "members-unknown": "{volume} holds {members_count} members that the catalogue does not "
        "know, the first is {member}: rebuild the catalogue first",
        "thawing": "{instances_count} instances are being restored from cold storage",
        "no-copy": "{missing_count} of {instances_count} instances have no verified copy, the "
        "first is {instance_uid}",
        "unproven": "{instances_count} instances are neither on the node nor in a good copy here, "
        "the first is {instance_uid}",
        "not-evictable": "no instance of this study has a verified copy in every required vault: "
        "nothing is evicted",
        "peer-slow": "{peer}: did not answer in time",
        "peer-refused": "{peer}: [Errno 111] Connection refused",
        "peer-answered": "{peer} answered {status}: {why}",
        "node-keeps-all": "{node} keeps all of it: {why}",
        "node-keeps-some": "{node} keeps {kept_count} instances: {why}",
        "no-reason": "it gives no reason",
        "node-digests-missing": "{node} has not computed all digests of the study yet",
        "node-sent-other": "{node} sent {instance_uid} with another digest than its own",
        "node-left-quarantine": "{instance_uid} left the quarantine of {node} as it was fetched",
        "node-answer-unreadable": "{node} answered an eviction so that it cannot be read",
        "node-old-space": "{node} reserves no space: it is older than this archive",
        "node-old-receipts": "{node} takes no receipts: it is older than this archive",
    }
)
WORDS = frozenset(
    {
        "alarm", "drive", "error", "hold", "instance_uid", "job", "list", "member", "node",
        "request", "status", "study_uid", "vault", "volume", "window",
        "hold_kind", "job_act", "job_kind", "job_state", "list_state", "volume_act", "volume_state",
    }
)  # fmt: skip
NESTED = frozenset({"left", "why"})
_NAME = re.compile(r"\{([a-z_]+)\}")
_UNITS = ("kB", "MB", "GB", "TB", "PB")
_MOMENT = "%Y-%m-%d %H:%M UTC"


def say(key: str, /, **values: Any) -> str:
    """Return the English text of a sentence; KeyError where it is none, or lacks a value."""
    return _NAME.sub(lambda found: _said(found[1], values[found[1]]), TEMPLATES[key])


@lru_cache(maxsize=4096)
def read(text: str) -> tuple[str, Mapping[str, Any]] | None:
    """Return the sentence that a text is, and its values; None where it is none.

    Where several would do, the one with the longest text of its own is meant. Sizes come back as
    exactly as they were said.
    """
    for key, pattern, _ in _PATTERNS:
        found = pattern.fullmatch(text)
        values = _values(found) if found else None
        if values is not None:
            return key, MappingProxyType(values)
    return None


def names_in(template: str) -> set[str]:
    """Return the names of the values of a template."""
    return set(_NAME.findall(template))


def size(count: float) -> str:
    """Return an amount of data in decimal units: "70.0 GB", "999 bytes"; below 0 is 0."""
    amount = max(0, round(count))
    if amount < 1000:
        return f"{amount} bytes"
    power = 1
    while power < len(_UNITS) and round(amount / 1000**power, 1) >= 1000:
        power += 1
    return f"{amount / 1000**power:.1f} {_UNITS[power - 1]}"


@dataclass(frozen=True)
class _Kind:
    """A kind of value, by the end of its name: how it is written, found and read."""

    pattern: str
    write: Callable[[Any], str] = str
    read: Callable[[str], Any] = str


def _bytes_of(text: str) -> int:
    amount, unit = text.split()
    factor = int(1000 ** (_UNITS.index(unit) + 1)) if unit in _UNITS else 1
    whole, _, tenths = amount.partition(".")
    return int(whole) * factor + int(tenths or 0) * factor // 10


def _moment_of(text: str) -> datetime:
    return datetime.strptime(text, _MOMENT).replace(tzinfo=UTC)


_COUNT = _Kind("[0-9]{1,18}", lambda value: str(int(value)), int)
_NUMBER = _Kind("[0-9]{1,18}(?:[.][0-9]+)?(?:e[+-]?[0-9]{1,3})?", lambda value: f"{value:g}", float)
_KINDS = {
    "_bytes": _Kind("[0-9]{1,18}(?:[.][0-9])? (?:bytes|[kMGTP]B)", size, _bytes_of),
    "_at": _Kind(
        "[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2} UTC",
        lambda value: value.astimezone(UTC).strftime(_MOMENT),
        _moment_of,
    ),
    "_on": _Kind(
        "[0-9]{4}-[0-9]{2}-[0-9]{2}", lambda value: f"{value:%Y-%m-%d}", date.fromisoformat
    ),
    "_count": _COUNT,
    "_days": _NUMBER,
    "_s": _NUMBER,
    "_percent": _Kind(
        "-?[0-9]{1,6}[.][0-9]%",
        lambda value: f"{value:.1%}",
        lambda text: round(float(text[:-1]) / 100, 3),
    ),
}
_WORD, _TEXT = _Kind(r"\S+?"), _Kind(".+?")


def _kind(name: str) -> _Kind:
    if name in WORDS:
        return _WORD
    ending = f"_{name.rpartition('_')[2]}"
    return _KINDS.get(ending, _TEXT) if "_" in name else _TEXT


def _said(name: str, value: Any) -> str:
    return _kind(name).write(value)


def _values(found: re.Match[str]) -> dict[str, Any] | None:
    try:
        return {name: _kind(name).read(text) for name, text in found.groupdict().items()}
    except ValueError:  # a day that no calendar has
        return None


def _pattern(template: str) -> re.Pattern[str]:
    """Return what finds a template's values; a name that stands twice is the same text twice."""
    parts, seen, end = [], set(), 0
    for found in _NAME.finditer(template):
        name = found[1]
        value = f"(?P={name})" if name in seen else f"(?P<{name}>{_kind(name).pattern})"
        parts += [re.escape(template[end : found.start()]), value]
        seen.add(name)
        end = found.end()
    return re.compile("".join(parts) + re.escape(template[end:]), re.DOTALL)


_PATTERNS = sorted(
    (
        (key, _pattern(template), len(_NAME.sub("", template)))
        for key, template in TEMPLATES.items()
    ),
    key=lambda row: -row[2],
)
