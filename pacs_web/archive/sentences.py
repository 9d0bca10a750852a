"""The archive's sentences (`pacs_common/sentences.py`), in the portal's words and languages.

Each names the same values as the archive's own; some go by the number of one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

SENTENCES: Mapping[str, Any] = {
    # alarms
    "disk-high": _("%(node)s is above its high watermark, and nothing may leave: %(left)s."),
    "disk-fills": _("%(node)s fills, and only %(evictable_bytes)s may leave: %(left)s."),
    "disk-list-waits": _("%(node)s fills, and its eviction list waits for approval: %(left)s."),
    "left": _("%(free_bytes)s are left"),
    "left-until": _("%(free_bytes)s are left, full on %(full_at)s"),
    "copies-behind": _("%(node)s has exams without their copies since %(since_at)s."),
    "node-silent": _("%(node)s is silent since %(since_at)s."),
    "vault-missing": _("Vault %(vault)s: %(why)s"),
    "job-failed": _("%(job_kind)s, %(place)s: job %(job)s failed: %(why)s"),
    "jobs-failed": ngettext_lazy(
        "%(job_kind)s, %(place)s: %(jobs_count)s job failed, the first is job %(job)s: %(why)s",
        "%(job_kind)s, %(place)s: %(jobs_count)s jobs failed, the first is job %(job)s: %(why)s",
        "jobs_count",
    ),
    "lost": ngettext_lazy(
        "Exam %(study_uid)s of %(node)s: %(lost_count)s image has no good copy anywhere.",
        "Exam %(study_uid)s of %(node)s: %(lost_count)s images have no good copy anywhere.",
        "lost_count",
    ),
    "no-good-copy": _(
        "Exam %(study_uid)s of %(node)s has no good copy, and is not on its server: %(why)s"
    ),
    "scrub-overdue": _("Volume %(volume)s of %(vault)s was not read whole since %(read_on)s."),
    "vault-not-mounted": _("Nothing is mounted on %(folder)s."),
    "vault-not-there": _("%(folder)s holds no %(vault_kind)s (is it mounted?)"),
    "vault-changed": _("%(folder)s is another %(vault_kind)s than it was."),
    "vault-swapped": _("%(folder)s is another vault than %(vault)s was."),
    # what becomes of an exam
    "away": _("it is not on the server"),
    "stays-until-needed": _("it stays until space is needed"),
    "not-proven": _("not proven in %(vaults)s"),
    "rule": _("rule “%(rule)s”"),
    "rule-because": _("rule “%(rule)s”, %(reason)s"),
    "rule-wants-online": _("rule “%(rule)s” wants it on the server"),
    "held": _("held: %(why)s"),
    "held-by-person": _("%(hold_kind)s, by %(person)s"),
    "held-by-person-because": _("%(hold_kind)s (%(reason)s), by %(person)s"),
    "held-because": _("%(hold_kind)s (%(reason)s)"),
    "held-by-node": _("by its server"),
    "unused": _("unused for %(unused_days)s days"),
    "online": _("it is on the server"),
    "in-vault": _("it is in %(vault)s"),
    "nowhere": _("neither on the server nor in another vault"),
    "arrived": _("something arrived within %(quiet_s)s s"),
    "young": _("something arrived within %(least_days)s days"),
    "digests-missing": _("its server has not computed all digests"),
    "quarantined": ngettext_lazy(
        "%(quarantined_count)s image of it waits for a decision in quarantine",
        "%(quarantined_count)s images of it wait for a decision in quarantine",
        "quarantined_count",
    ),
    "incomplete": _("a transfer of it did not end well"),
    "no-vault-required": _("no vault is required, so nothing proves it"),
    # eviction lists
    "list-by-age": _("by age"),
    "list-for-recall": _("space for a recall"),
    "list-disk-full": _("the disk is %(used_percent)s full, above %(mark_percent)s"),
    "longest-unused": _("the longest unused"),
    "stays": _("stays: %(why)s"),
    # refusals
    "job-unknown": _("There is no job %(job)s."),
    "job-in-state": _("Job %(job)s (%(job_state)s) cannot be %(job_act)s."),
    "job-twin": _("Job %(job)s does this already."),
    "job-twin-now": _("Another job does this already."),
    "list-unknown": _("There is no list %(list)s."),
    "list-decided": _("List %(list)s is %(list_state)s already."),
    "rule-unknown": _("There is no rule %(rule)s."),
    "rule-named-alike": _("Another rule is called “%(name)s”."),
    "hold-unknown": _("There is no hold %(hold)s."),
    "hold-there": _("The exam is held already (%(hold_kind)s)."),
    "hold-released": _("Hold %(hold)s was released already."),
    "alarm-unknown": _("There is no alarm %(alarm)s."),
    "window-unknown": _("There is no window %(window)s."),
    "request-unknown": _("There is no request %(request)s."),
    "request-ended": _("Request %(request)s was ended by %(person)s."),
    "refilled": ngettext_lazy(
        "%(studies_count)s exam is back.", "%(studies_count)s exams are back.", "studies_count"
    ),
    "refilled-but": ngettext_lazy(
        "%(studies_count)s exam is back; not whole: %(missing_count)s, of them %(study_uid)s: "
        "%(why)s",
        "%(studies_count)s exams are back; not whole: %(missing_count)s, of them %(study_uid)s: "
        "%(why)s",
        "studies_count",
    ),
    "node-unknown": _("The archive knows no server “%(name)s”."),
    "volume-unknown": _("%(vault)s has no volume %(volume)s."),
    "volume-in-state": _("Volume %(volume)s (%(volume_state)s): “%(volume_act)s” is impossible."),
    "volume-alone": ngettext_lazy(
        "%(copies_count)s copy lies on %(volume)s alone, wholly or in part: evacuate it first (the "
        "first is %(member)s).",
        "%(copies_count)s copies lie on %(volume)s alone, wholly or in part: evacuate it first "
        "(the first is %(member)s).",
        "copies_count",
    ),
    "volume-retired": _("Volume %(volume)s of %(vault)s is retired."),
    "volume-in-use": _("Volume %(volume)s of %(vault)s is in use: try again."),
    "marks-crossed": _("The low watermark is above the high one."),
    # what was inserted
    "barcode-other": _("The barcode says “%(barcode)s”, and %(volume)s is wanted."),
    "inserted-other": _("“%(barcode)s” was inserted, not %(volume)s."),
    "inserted-nothing": _("There is no %(volume)s in %(folder)s."),
    "inserted-strange": _("What lies in %(folder)s does not say that it is %(volume)s of here."),
    "changer-sees-none": _("%(vault)s: the changer sees no cartridge with barcode %(volume)s."),
    "barcode-lies": _("Volume %(volume)s of %(vault)s is not what its barcode says: %(why)s"),
    "drive-unknown": _("%(vault)s has no drive %(drive)s."),
    "drive-in-use": _("Drive %(drive)s of %(vault)s is in use: try again."),
    "slots-taken": ngettext_lazy(
        "The only slot (%(slots_count)s) of %(vault)s is taken: put a volume on the shelf.",
        "All %(slots_count)s slots of %(vault)s are taken: put a volume on the shelf.",
        "slots_count",
    ),
    "every-slot-taken": _("%(vault)s: every slot is taken."),
    "no-shelf": _("%(vault)s (%(vault_kind)s) has no shelf."),
    # what hinders a job, and what it notes
    "given-up": ngettext_lazy(
        "%(why)s (given up after %(attempts_count)s attempt)",
        "%(why)s (given up after %(attempts_count)s attempts)",
        "attempts_count",
    ),
    "unexpected": _("Something unexpected happened (%(error)s): %(why)s"),
    "on-shelf": _("Volume %(volume)s of %(vault)s lies on the shelf."),
    "no-scratch": _("%(vault)s: no empty volume is in the library: insert one."),
    "volume-disk-full": _("The disk beneath volume %(volume)s of %(vault)s has no space left."),
    "too-large": _("%(size_bytes)s do not fit on a volume of %(volume_bytes)s."),
    "volume-fault": _("Volume %(volume)s of %(vault)s: %(why)s"),
    "suspect-now": _("%(why)s: it is suspect now, evacuate it."),
    "copy-bad": _("The copy on %(volume)s (%(member)s) is bad: %(why)s"),
    "member-missing": _("Volume %(volume)s has no %(member)s."),
    "copies-bad": ngettext_lazy(
        "%(copies_count)s copy on %(volume)s was bad: it is written anew.",
        "%(copies_count)s copies on %(volume)s were bad: they are written anew.",
        "copies_count",
    ),
    "members-alone": ngettext_lazy(
        "%(members_count)s copy lies on %(volume)s alone and could not be brought over, the first "
        "is of %(study_uid)s on %(node)s: %(why)s",
        "%(members_count)s copies lie on %(volume)s alone and could not be brought over, the first "
        "is of %(study_uid)s on %(node)s: %(why)s",
        "members_count",
    ),
    "members-unknown": ngettext_lazy(
        "%(volume)s holds %(members_count)s copy that the catalogue does not know, the first is "
        "%(member)s: rebuild the catalogue first.",
        "%(volume)s holds %(members_count)s copies that the catalogue does not know, the first is "
        "%(member)s: rebuild the catalogue first.",
        "members_count",
    ),
    "thawing": ngettext_lazy(
        "%(instances_count)s image is being brought out of cold storage.",
        "%(instances_count)s images are being brought out of cold storage.",
        "instances_count",
    ),
    "no-copy": ngettext_lazy(
        "%(missing_count)s of %(instances_count)s images has no verified copy, the first is "
        "%(instance_uid)s.",
        "%(missing_count)s of %(instances_count)s images have no verified copy, the first is "
        "%(instance_uid)s.",
        "missing_count",
    ),
    "unproven": ngettext_lazy(
        "%(instances_count)s image is neither on the server nor in a good copy here, the first is "
        "%(instance_uid)s.",
        "%(instances_count)s images are neither on the server nor in a good copy here, the first "
        "is %(instance_uid)s.",
        "instances_count",
    ),
    "not-evictable": _(
        "No image of this exam has a verified copy in every required vault: nothing leaves."
    ),
    "peer-slow": _("%(peer)s did not answer in time."),
    "peer-refused": _("%(peer)s does not answer: nothing listens at its address."),
    "peer-answered": _("%(peer)s answered (%(status)s): %(why)s"),
    "node-keeps-all": _("%(node)s keeps all of it: %(why)s"),
    "node-keeps-some": ngettext_lazy(
        "%(node)s keeps %(kept_count)s image: %(why)s",
        "%(node)s keeps %(kept_count)s images: %(why)s",
        "kept_count",
    ),
    "no-reason": _("it gives no reason"),
    "node-digests-missing": _("%(node)s has not computed all digests of the exam yet."),
    "node-sent-other": _("%(node)s sent %(instance_uid)s with another digest than its own."),
    "node-left-quarantine": _(
        "%(instance_uid)s left the quarantine of %(node)s as it was fetched."
    ),
    "node-answer-unreadable": _("%(node)s answered an eviction so that it cannot be read."),
    "node-old-space": _("%(node)s reserves no space: it is older than this archive."),
    "node-old-receipts": _("%(node)s takes no receipts: it is older than this archive."),
}
