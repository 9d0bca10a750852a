"""What can be found: studies, series, instances, and objects of no patient."""

from __future__ import annotations

from django.db import models
from django.utils.timezone import now

from pacs_common.availability import Availability

# Unique and db_index=True would each give a text column a second index on PostgreSQL.
_BEGINNINGS = "text_pattern_ops"


class Study(models.Model):
    """A study with its patient, as its first instance told it (later ones fill blanks only)."""

    uid = models.TextField()
    issuer = models.TextField(default="")
    patient_id = models.TextField(default="")
    patient_name = models.TextField(default="")
    patient_name_key = models.TextField(default="")
    patient_name_other_keys = models.TextField(default="")
    patient_name_sound = models.TextField(default="")
    birth_date = models.TextField(default="")
    birth_time = models.TextField(default="")
    sex = models.TextField(default="")
    birth_name = models.TextField(default="")
    birth_name_key = models.TextField(default="")
    birth_name_sound = models.TextField(default="")
    other_ids = models.TextField(default="")
    other_names = models.TextField(default="")
    other_names_key = models.TextField(default="")
    other_id_values = models.TextField(default="")
    other_id_issuers = models.TextField(default="")
    other_id_types = models.TextField(default="")
    ethnic_group = models.TextField(default="")
    patient_comments = models.TextField(default="")
    patient_comments_key = models.TextField(default="")
    study_date = models.TextField(default="")
    study_time = models.TextField(default="")
    timezone = models.TextField(default="", help_text="Offset from UTC, as the object says it.")
    accession_number = models.TextField(default="")
    study_id = models.TextField(default="")
    description = models.TextField(default="")
    description_key = models.TextField(default="")
    referring_physician = models.TextField(default="")
    referring_physician_key = models.TextField(default="")
    referring_physician_sound = models.TextField(default="")
    physicians_of_record = models.TextField(default="")
    physicians_of_record_key = models.TextField(default="")
    reading_physicians = models.TextField(default="")
    reading_physicians_key = models.TextField(default="")
    diagnoses = models.TextField(default="")
    diagnoses_key = models.TextField(default="")
    patient_age = models.TextField(default="")
    patient_size = models.TextField(default="")
    patient_weight = models.TextField(default="")
    institution = models.TextField(default="")
    department = models.TextField(default="")
    requesting_service = models.TextField(default="")
    procedure_codes = models.TextField(default="")
    procedure_schemes = models.TextField(default="")
    procedure_meanings = models.TextField(default="")

    modalities = models.TextField(default="", help_text="Sorted, separated by backslashes.")
    series_count = models.IntegerField(default=0)
    instance_count = models.IntegerField(default=0)
    evicted_count = models.IntegerField(default=0)
    offline_count = models.IntegerField(default=0, help_text="Of the evicted, those on a shelf.")
    size_bytes = models.BigIntegerField(default=0)
    online_bytes = models.BigIntegerField(default=0)
    rejected_count = models.IntegerField(default=0, help_text="Instances that are hidden.")
    overlay = models.TextField(default="", help_text="Corrections in force: overlay/chain.py.")
    original = models.TextField(default="", help_text="What its objects say, where corrected.")
    revision = models.IntegerField(default=0, help_text="Grows with every arrival.")
    prepared_revision = models.IntegerField(
        default=0, help_text="The one whose frames, thumbnails and metadata were prepared."
    )
    recalls = models.IntegerField(default=0, help_text="Grows with every recall.")
    holds = models.TextField(default="", help_text="Of the archive, in force: index/holds.py.")
    changed_at = models.DateTimeField(
        default=now, help_text="When anything changed that the archive is told of it."
    )
    last_arrival_at = models.DateTimeField(db_index=True)
    last_access_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["uid"], name="study_once")]
        # text_pattern_ops lets PostgreSQL look up beginnings; SQLite needs nothing for that.
        indexes = [
            models.Index(fields=["-study_date", "uid"], name="study_by_date"),
            *(
                models.Index(fields=[column], name=f"study_by_{name}", opclasses=[_BEGINNINGS])
                for name, column in [
                    ("patient_id", "patient_id"),
                    ("name", "patient_name_key"),
                    ("name_sound", "patient_name_sound"),
                    ("accession", "accession_number"),
                ]
            ),
            models.Index(fields=["birth_date"], name="study_by_birth_date"),
            models.Index(fields=["changed_at", "uid"], name="study_by_change"),
            models.Index(
                fields=["last_arrival_at"],
                name="study_to_prepare",
                condition=models.Q(prepared_revision__lt=models.F("revision")),
            ),
            # the rare studies that name an offset of their own
            models.Index(
                fields=["timezone"], name="study_by_timezone", condition=~models.Q(timezone="")
            ),
        ]


class Series(models.Model):
    """A series within its study."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="series")
    uid = models.TextField()
    modality = models.TextField(default="")
    number = models.IntegerField(null=True)
    description = models.TextField(default="")
    description_key = models.TextField(default="")
    body_part = models.TextField(default="")
    laterality = models.TextField(default="")
    series_date = models.TextField(default="")
    series_time = models.TextField(default="")
    protocol = models.TextField(default="")
    station = models.TextField(default="")
    manufacturer = models.TextField(default="")
    model = models.TextField(default="")
    frame_of_reference = models.TextField(default="")
    performing_physicians = models.TextField(default="")
    performing_physicians_key = models.TextField(default="")
    operators = models.TextField(default="")
    operators_key = models.TextField(default="")
    performed_date = models.TextField(default="")
    performed_time = models.TextField(default="")
    performed_id = models.TextField(default="")
    performed_description = models.TextField(default="")
    performed_description_key = models.TextField(default="")
    scheduled_ids = models.TextField(default="")
    requested_ids = models.TextField(default="")
    requested_accessions = models.TextField(default="")
    instance_count = models.IntegerField(default=0)
    evicted_count = models.IntegerField(default=0)
    offline_count = models.IntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["study", "uid"], name="series_once_per_study")
        ]
        indexes = [models.Index(fields=["uid"], name="series_by_uid")]


class Shown(models.Manager):
    """Instances that no rejection hides: what any question about instances means."""

    def get_queryset(self) -> models.QuerySet:
        """Leave out what is rejected."""
        return super().get_queryset().filter(rejected=False)


class Instance(models.Model):
    """One SOP instance: where its bytes lie, their digests, and what a list shows of it.

    `objects` leaves out what a rejection hides; custody and the disk ask `every`.
    """

    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="instances")
    uid = models.TextField()
    sop_class = models.TextField()
    transfer_syntax = models.TextField()
    number = models.IntegerField(null=True)
    frames = models.IntegerField(null=True)
    rows = models.IntegerField(null=True)
    columns = models.IntegerField(null=True)
    shown = models.JSONField(default=dict, help_text="Attributes that are returned, not matched.")

    hour = models.TextField(help_text="Folder of arrival, YYYY/MM/DD/HH.")
    arrived_at = models.DateTimeField()
    size_bytes = models.BigIntegerField(help_text="Of the whole file.")
    received_sha256 = models.TextField()
    stored_sha256 = models.TextField(default="")
    pixel_sha256 = models.TextField(default="")
    verified = models.TextField(
        null=True, help_text="What its file was when the digests were made: store/verified.py."
    )
    availability = models.TextField(
        default=Availability.ONLINE, choices=[(a.value, a.value) for a in Availability]
    )
    damaged = models.BooleanField(default=False, help_text="Its file is not what arrived.")
    nonstandard_uid = models.BooleanField(default=False)
    charset_guessed = models.BooleanField(
        default=False, help_text="Its texts were not decodable by its own character set."
    )
    source_ae = models.TextField(default="")
    routed = models.BooleanField(default=False, help_text="The forwarding rules have seen it.")
    rejected = models.BooleanField(default=False, help_text="Hidden by a rejection (rule 8).")

    objects = Shown()
    every = models.Manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["uid"], name="instance_once")]
        indexes = [
            models.Index(fields=["hour"], name="instance_by_hour"),
            models.Index(
                fields=["id"],
                name="instance_awaiting_digests",
                condition=models.Q(stored_sha256=""),
            ),
            models.Index(
                fields=["id"], name="instance_awaiting_rules", condition=models.Q(routed=False)
            ),
        ]


class NonPatientObject(models.Model):
    """An object of no patient and no study (PS3.4 GG): a hanging protocol, a colour palette."""

    uid = models.TextField()
    sop_class = models.TextField()
    transfer_syntax = models.TextField()
    label = models.TextField(default="")
    description = models.TextField(default="")
    hour = models.TextField(help_text="Folder of arrival, YYYY/MM/DD/HH.")
    arrived_at = models.DateTimeField()
    size_bytes = models.BigIntegerField(help_text="Of the whole file.")
    received_sha256 = models.TextField()
    damaged = models.BooleanField(default=False, help_text="Its file is not what arrived.")
    source_ae = models.TextField(default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["uid"], name="non_patient_object_once")]
        indexes = [models.Index(fields=["hour"], name="non_patient_object_by_hour")]
