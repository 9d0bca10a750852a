from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AuditConfig(AppConfig):
    name = "pacs_web.audit"
    label = "audit"

    def ready(self) -> None:
        from pacs_web.audit import logins, triggers

        logins.listen()
        post_migrate.connect(triggers.lay_triggers, sender=self, dispatch_uid="audit-triggers")
