from django.apps import AppConfig


class FederationConfig(AppConfig):
    name = "pacs_web.federation"
    label = "federation"
