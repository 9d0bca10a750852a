"""A person's account."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils.translation import gettext_lazy as _

from pacs_web.accounts.rights import Right


class Account(AbstractUser):
    """One person; what the person may do comes from the groups."""

    needs_two_steps = models.BooleanField(default=False)
    must_change_password = models.BooleanField(default=False)
    kept_by = models.CharField(  # "openid": at the provider; empty: here
        max_length=10, blank=True, default="", editable=False
    )

    class Meta(AbstractUser.Meta):
        permissions = [
            (Right.SEARCH.value, _("Can search patients and exams")),
            (Right.VIEW.value, _("Can look at exams, images and headers")),
            (Right.DOWNLOAD.value, _("Can download exams")),
            (Right.RECALL.value, _("Can bring exams back from the archive")),
            (Right.STORE.value, _("Can save measurements and reports to an exam")),
            (Right.UPLOAD.value, _("Can store any DICOM objects")),
            (Right.REJECT.value, _("Can reject exams, series and images")),
            (Right.CORRECT.value, _("Can correct whose an exam is")),
            (Right.ARRIVALS.value, _("Can see what arrived and what was refused")),
            (Right.BREAK_GLASS.value, _("Can open an exam of another department in an emergency")),
            (Right.SERVERS.value, _("Can see which servers answer")),
            (Right.OPERATE_SERVERS.value, _("Can see the servers' full state")),
            (Right.MANAGE_NODES.value, _("Can register and change servers")),
            (Right.ARCHIVE.value, _("Can operate the archive")),
            (Right.AUDIT.value, _("Can read the audit")),
            (Right.AUDIT_PATIENTS.value, _("Can see patients in the audit, and report on them")),
            (Right.MANAGE_ACCOUNTS.value, _("Can manage people and groups")),
        ]

    def has_right(self, right: Right) -> bool:
        """Return whether a group of this active person holds `right`."""
        return self.has_perm(f"accounts.{right.value}")
