"""Exams that were opened in an emergency, across the limits."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from pacs_web.accounts.models.account import Account


class BrokenGlass(models.Model):
    """One person's access to one study beyond the person's limits, for a time, with a reason."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="broken_glass")
    study_uid = models.CharField(max_length=64)
    reason = models.CharField(max_length=500)
    at = models.DateTimeField(default=timezone.now, db_index=True)
    until = models.DateTimeField()
    address = models.GenericIPAddressField(null=True)
    reviewed_by = models.CharField(max_length=150, blank=True)
    reviewed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["account", "study_uid", "until"], name="glass_active")]

    def __str__(self) -> str:
        return f"{self.account.get_username()}: {self.study_uid} until {self.until:%Y-%m-%d %H:%M}"
