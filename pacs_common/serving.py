"""gunicorn, run by the process that has the application: workers fork with it loaded."""

from __future__ import annotations

from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.util import import_app


class LikeTheRole(Logger):  # type: ignore[misc]
    """gunicorn's own lines, in the form and place of the role's; its access log is left alone."""

    def setup(self, cfg: Any) -> None:
        """Take its settings, but leave its error log to the root logger."""
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


USUAL: dict[str, Any] = {
    "preload_app": True,
    "graceful_timeout": 5,
    "control_socket_disable": True,
    "logger_class": LikeTheRole,
}


class _Server(BaseApplication):  # type: ignore[misc]
    """An application with its settings; GUNICORN_CMD_ARGS goes before them."""

    def __init__(self, application: str, settings: dict[str, Any]) -> None:
        self._application, self._settings = application, settings
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._settings.items():
            self.cfg.set(name, value)
        told = self.cfg.parser().parse_args(self.cfg.get_cmd_args_from_env())
        for name, value in vars(told).items():
            if value is not None and name != "args":
                self.cfg.set(name, value)

    def load(self) -> object:
        return import_app(self._application)


def load(application: str) -> None:
    """Import an application ("module:name") before the processes fork that serve it."""
    import_app(application)


def serve(application: str, **settings: Any) -> None:
    """Serve a WSGI application ("module:name") until SIGTERM; settings are gunicorn's."""
    _Server(application, {**USUAL, **settings}).run()
