"""A person's account, and the API tokens of the programs that act for the person."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from pacs_web.accounts.rights import Right


class Account(AbstractUser):
    """One person; what the person may do comes from the groups."""

    class Meta(AbstractUser.Meta):
        permissions = [
            (Right.SEARCH.value, _("Can search patients and exams")),
            (Right.VIEW.value, _("Can look at exams, images and headers")),
            (Right.DOWNLOAD.value, _("Can download exams")),
            (Right.RECALL.value, _("Can bring exams back from the archive")),
            (Right.SERVERS.value, _("Can see which servers answer")),
            (Right.OPERATE_SERVERS.value, _("Can see the servers' full state")),
            (Right.ARCHIVE.value, _("Can operate the archive")),
            (Right.AUDIT.value, _("Can read the audit")),
        ]

    def has_right(self, right: Right) -> bool:
        """Return whether a group of this active person holds `right`."""
        return self.has_perm(f"accounts.{right.value}")


class ApiToken(models.Model):
    """A token, known only by its SHA-256: who reads the database cannot use it."""

    digest = models.CharField(max_length=64, unique=True)
    owner = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="api_tokens")
    label = models.CharField(max_length=100, blank=True)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.owner.get_username()}: {self.label or self.pk}"
