"""What people and their accounts go through, told to whoever writes it down (the audit)."""

from __future__ import annotations

from django.dispatch import Signal

access_refused = Signal()  # request, right, study_uid
glass_broken = Signal()  # request, study_uid, reason, until
account_changed = Signal()  # request, whose, what: one line; secrets are never in it
