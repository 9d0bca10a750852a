"""Where the journal speaks of each study: read again from the journal at any time."""

from __future__ import annotations

from django.db import models


class JournalRun(models.Model):
    """Lines of a journal file that follow one another and are about one study."""

    study_uid = models.TextField(db_index=True)
    file = models.TextField()
    begins_at = models.BigIntegerField(help_text="Offset in bytes.")
    ends_at = models.BigIntegerField()


class JournalMark(models.Model):
    """How far a journal file was looked through for runs."""

    file = models.TextField(unique=True)
    offset = models.BigIntegerField(help_text="In bytes: the beginning of a line.")
