"""The registered servers: what each is, where, and how it is asked."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _


class Kind(models.TextChoices):
    """What a server speaks."""

    OWN = "own", _("Argens node")
    DICOMWEB = "dicomweb", _("DICOMweb server")
    DIMSE = "dimse", _("DICOM PACS without web")
    ARCHIVE = "archive", _("Argens archive")


class Authentication(models.TextChoices):
    """How the portal shows a DICOMweb server who asks."""

    NONE = "none", _("None")
    BEARER = "bearer", _("Bearer token")
    BASIC = "basic", _("User name and password")


class Node(models.Model):
    """One server; of an own node the name is its `PACS_NODE_NAME`, the audience of tickets for it.

    A foreign server has an issuer of its own: its Patient IDs are not the hospital's (rule 12).
    """

    name = models.CharField(
        max_length=64, unique=True, validators=[RegexValidator(r"^[A-Za-z0-9_-]+$")]
    )
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.OWN)
    site = models.CharField(max_length=64, blank=True)
    position = models.PositiveIntegerField(default=0)
    enabled = models.BooleanField(default=True)

    url = models.CharField(max_length=300, blank=True)
    qido_path = models.CharField(max_length=100, blank=True)
    wado_path = models.CharField(max_length=100, blank=True)
    stow_path = models.CharField(max_length=100, blank=True)
    answers_at_once = models.PositiveIntegerField(default=0)
    stores = models.BooleanField(default=False)
    issuer = models.CharField(max_length=64, blank=True)

    authentication = models.CharField(
        max_length=10, choices=Authentication.choices, default=Authentication.NONE
    )
    user = models.CharField(max_length=150, blank=True)
    sealed_secret = models.TextField(blank=True)
    certificate = models.TextField(blank=True)
    sealed_key = models.TextField(blank=True)
    authority = models.TextField(blank=True)

    ae_title = models.CharField(max_length=16, blank=True)
    host = models.CharField(max_length=253, blank=True)
    port = models.PositiveIntegerField(
        default=104, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    through = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="landing_for"
    )

    class Meta:
        ordering = ["position", "name"]

    def __str__(self) -> str:
        return self.name

    @property
    def place(self) -> str:
        """Where it is, in one line."""
        if self.url:
            return self.url
        return f"{self.ae_title} {self.host}:{self.port} · {self.through}"


class PlacingRule(models.Model):
    """Which server takes a new exam of some modalities, from a source, of a department."""

    position = models.PositiveIntegerField(default=0)
    modalities = models.CharField(max_length=100, blank=True)
    source = models.CharField(max_length=64, blank=True)
    department = models.CharField(max_length=64, blank=True)
    node = models.ForeignKey(Node, on_delete=models.PROTECT, related_name="placing_rules")

    class Meta:
        ordering = ["position", "id"]

    def __str__(self) -> str:
        return f"rule {self.pk} for new exams"

    @property
    def server(self) -> str:
        """The name of the server that takes what fits."""
        return self.node.name


class Fetch(models.Model):
    """A study on its way from a DIMSE-only PACS to its landing node; the row is the claim."""

    class State(models.TextChoices):
        RUNNING = "running", _("on its way")
        DONE = "done", _("here")
        FAILED = "failed", _("failed")

    study_uid = models.CharField(max_length=64)
    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="fetches")
    state = models.CharField(max_length=10, choices=State.choices, default=State.RUNNING)
    completed = models.PositiveIntegerField(default=0)
    remaining = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)
    asked_by = models.CharField(max_length=150)
    changed_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["study_uid", "node"], name="fetch_once")]

    def __str__(self) -> str:
        return f"{self.study_uid} from {self.node}"

    @property
    def percent(self) -> int:
        """How much of it is here."""
        whole = self.completed + self.remaining + self.failed
        return round(100 * self.completed / whole) if whole else 0
