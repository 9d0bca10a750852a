from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    name = "pacs_web.accounts"
    label = "accounts"

    def ready(self) -> None:
        from pacs_web.accounts import checks, measures  # noqa: F401 - checks registers itself
        from pacs_web.accounts.groups import ensure_groups
        from pacs_web.accounts.sessions import begin

        measures.listen()
        user_logged_in.connect(begin, dispatch_uid="begin-session")
        post_migrate.connect(ensure_groups, sender=self)
