from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "pacs_web.audit"
    label = "audit"

    def ready(self) -> None:
        from pacs_web.audit import logins

        logins.listen()
