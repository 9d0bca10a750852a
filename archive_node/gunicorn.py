"""Gunicorn's settings: `gunicorn -c python:archive_node.gunicorn archive_node.wsgi`."""

from archive_node.config import CONFIG
from pacs_common import logs

bind = f"{CONFIG.http_bind}:{CONFIG.http_port}"
worker_class = "gthread"
workers = 2
threads = 8
preload_app = True  # imported once for both
timeout = 60
graceful_timeout = 5
keepalive = 20  # callers keep idle connections for 5 s: they close first
control_socket_disable = True  # it would lie in the home folder, one for all roles

logconfig_dict = logs.configuration(CONFIG.log_level, CONFIG.log_dir)
logconfig_dict["loggers"] = {
    **logconfig_dict["loggers"],
    "gunicorn.error": {"level": CONFIG.log_level, "handlers": ["stderr"], "propagate": False},
}
