from django.apps import AppConfig


class NodesConfig(AppConfig):
    name = "pacs_web.nodes"
    label = "nodes"
