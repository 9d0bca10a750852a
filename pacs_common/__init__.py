"""What the roles say to each other: no Django, no Celery, no pynetdicom, no models."""

VERSION = "0.1.0"
