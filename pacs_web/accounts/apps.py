from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    name = "pacs_web.accounts"
    label = "accounts"

    def ready(self) -> None:
        from pacs_web.accounts.groups import ensure_groups

        post_migrate.connect(ensure_groups, sender=self)
