"""What is made before it is asked for, and where frames lie in their file."""

from __future__ import annotations

from django.db import models

from dicom_node.models.found import Instance, Study


class FrameMap(models.Model):
    """Where an instance's frames lie in its file, so that one is sent without parsing the rest."""

    instance = models.OneToOneField(
        Instance, on_delete=models.CASCADE, primary_key=True, related_name="frame_map"
    )
    file_bytes = models.BigIntegerField(help_text="Size of the file that is mapped.")
    count = models.IntegerField(help_text="Frames; 0 where they must be read by parsing.")
    start = models.BigIntegerField(default=0, help_text="Of the first frame of uncompressed ones.")
    stride = models.BigIntegerField(default=0, help_text="Bytes of each uncompressed frame.")
    ranges = models.BinaryField(default=b"", help_text="Of codestreams: see prepared/offsets.py.")


class Preparation(models.Model):
    """What came of preparing a study: its failures since the last arrival, and what it saved."""

    study = models.OneToOneField(
        Study, on_delete=models.CASCADE, primary_key=True, related_name="preparation"
    )
    revision = models.IntegerField(default=0, help_text="That `attempts` counts for.")
    attempts = models.IntegerField(default=0)
    due_at = models.DateTimeField(null=True, help_text="When a failed one is tried again.")
    error = models.TextField(default="")
    images = models.IntegerField(default=0, help_text="Frames that shrank.")
    original_bytes = models.BigIntegerField(default=0, help_text="Of them, uncompressed.")
    rendition_bytes = models.BigIntegerField(default=0, help_text="Of them, as lossless JPEG.")
    saved_bytes = models.BigIntegerField(default=0, help_text="By files stored compressed.")
