from django.apps import AppConfig


class NodesConfig(AppConfig):
    name = "pacs_web.nodes"
    label = "nodes"

    def ready(self) -> None:
        from pacs_web.accounts import exams
        from pacs_web.nodes.holdings import holdings

        exams.learn_from(holdings)
