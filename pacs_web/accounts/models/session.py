"""The logins that last."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from pacs_web.accounts.models.account import Account


class Duty(models.TextChoices):
    """What a person must do before anything else in this session."""

    NONE = "", _("Nothing")
    PASSWORD = "password", _("Choose a password")
    TWO_STEPS = "two-steps", _("Set up the second step")


class OpenSession(models.Model):
    """One login; a session without its row is over, so that others can end it."""

    digest = models.CharField(max_length=64, unique=True)  # of the session's key
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="open_sessions")
    started_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)
    address = models.GenericIPAddressField(null=True)
    agent = models.CharField(max_length=200, blank=True)
    two_steps = models.BooleanField(default=False)
    duty = models.CharField(max_length=10, choices=Duty.choices, blank=True, default=Duty.NONE)

    class Meta:
        ordering = ["-seen_at"]

    def __str__(self) -> str:
        return f"{self.account.get_username()} since {self.started_at:%Y-%m-%d %H:%M}"
