"""What the archive's own words are called on the pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

Words = Mapping[str, Promise]

JOB_KINDS: Words = {
    "copy": _("Copy"),
    "evict": _("Free disk"),
    "recall": _("Bring back"),
    "scrub": _("Check a volume"),
    "evacuate": _("Evacuate a volume"),
    "restore": _("Refill a server"),
}
JOB_STATES: Words = {
    "queued": _("in the queue"),
    "running": _("running"),
    "waiting": pgettext_lazy("a job", "waiting"),
    "paused": _("paused"),
    "done": _("done"),
    "failed": _("failed"),
    "cancelled": _("cancelled"),
}
OPEN_STATES = ("queued", "running", "waiting", "paused")
JOB_ACTIONS: Words = {
    "retry": _("Try again"),
    "now": _("Start now"),
    "pause": _("Pause"),
    "resume": _("Resume"),
    "cancel": _("Cancel"),
}
JOB_MOVES: Words = {  # "job 3 cannot be ...", by the name of the act
    "retried": pgettext_lazy("a job cannot be", "tried again"),
    "paused": pgettext_lazy("a job cannot be", "paused"),
    "resumed": pgettext_lazy("a job cannot be", "resumed"),
    "cancelled": pgettext_lazy("a job cannot be", "cancelled"),
    "hastened": pgettext_lazy("a job cannot be", "started at once"),
    "reprioritised": pgettext_lazy("a job cannot be", "given another priority"),
}
VOLUME_STATES: Words = {
    "scratch": _("empty"),
    "filling": _("being filled"),
    "full": _("full"),
    "suspect": _("suspect"),
    "exported": _("on the shelf"),
    "retired": _("retired"),
}
VAULT_KINDS: Words = {
    "tape library": _("tape library"),
    "virtual tape library": _("virtual tape library"),
    "disk": _("disk"),
    "s3": _("object store (S3)"),
}
RULE_ACTIONS: Words = {
    "hold": _("Keep on the server"),
    "evict": _("Free the server's disk"),
    "copy": _("Copy to a further vault"),
    "recall": _("Bring back"),
}
DOES: Words = {
    "hold": pgettext_lazy("a study", "stays, held"),
    "evict": pgettext_lazy("a study", "leaves the server's disk"),
    "copy": pgettext_lazy("a study", "is copied"),
    "recall": pgettext_lazy("a study", "is brought back"),
    "nothing": pgettext_lazy("a study", "nothing"),
}
HOLD_KINDS: Words = {
    "legal": _("Legal"),
    "teaching": _("Teaching"),
    "treatment": _("Running treatment"),
}
LIST_STATES: Words = {
    "proposed": _("waits for approval"),
    "approved": _("approved"),
    "refused": _("refused"),
    "overtaken": _("overtaken"),
}
ALARMS: Words = {
    "disk-filling": _("A disk fills"),
    "node-unreachable": _("A server does not answer"),
    "vault-missing": _("A vault is missing"),
    "no-good-copy": _("No good copy"),
    "jobs-failed": _("Jobs failed"),
    "copies-behind": _("Copies are behind"),
    "volume-suspect": _("A volume is suspect"),
    "drive-stuck": _("A drive is stuck"),
    "scrub-overdue": _("Checks are overdue"),
}
ACTS: Words = {
    "asked": _("asked for a job"),
    "retried": _("tried a job again"),
    "paused": _("paused a job"),
    "resumed": _("let a job go on"),
    "cancelled": _("cancelled a job"),
    "hastened": _("started a job at once"),
    "reprioritised": _("changed a job's priority"),
    "inserted": _("inserted a volume"),
    "held": _("held an exam"),
    "released": _("released an exam"),
    "list-approved": _("approved an eviction list"),
    "list-refused": _("refused an eviction list"),
    "alarm-seen": _("took an alarm on"),
    "volume-suspected": _("marked a volume as suspect"),
    "volume-trusted": _("trusts a volume again"),
    "volume-shelved": _("put a volume on the shelf"),
    "volume-retired": _("retired a volume"),
    "window-drawn": _("made a window"),
    "window-changed": _("changed a window"),
    "window-removed": _("removed a window"),
    "rule-saved": _("saved a rule"),
    "rule-removed": _("removed a rule"),
    "policy-set": _("changed a server's watermarks"),
}
DETAILS: Words = {
    "operation": _("Job"),
    "node": _("Server"),
    "vault": _("Vault"),
    "volume": _("Volume"),
    "list": _("List"),
    "studies": _("Exams"),
    "why": _("Why"),
    "priority": _("Priority"),
    "rule": _("Rule"),
    "jobs": _("Jobs"),
    "barcode": _("Barcode"),
    "reason": _("Reason"),
    "name": _("Name"),
    "kind": _("Kind of hold"),
    "conditions": _("To exams"),
    "enabled": _("In force"),
    "window": pgettext_lazy("of hours", "Window"),
    "about": _("About"),
    "high_watermark": _("High watermark"),
    "low_watermark": _("Low watermark"),
    "least_age_days": _("Least age (days)"),
    "approval": _("Approval"),
    "alarm": _("Alarm"),
    "hold": pgettext_lazy("its number", "Hold"),
    "drive": _("Drive"),
    "subject": _("Subject"),
}
WEEKDAYS = (
    _("Monday"),
    _("Tuesday"),
    _("Wednesday"),
    _("Thursday"),
    _("Friday"),
    _("Saturday"),
    _("Sunday"),
)


def said(words: Words, name: Any) -> Any:
    """Return what `name` is called; a name that is unknown here is shown as it is."""
    return words.get(str(name), name)
