"""The Celery application: it carries job ids, and ticks.

Celery's own Django fix-up closes database connections around every task and after every fork.
"""

import logging.config
import os

from celery import Celery
from celery.signals import setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "archive_node.settings")

from archive_node import broker
from archive_node.config import CONFIG
from pacs_common import logs

RUN_JOB = "archive.run_job"
DISPATCH_DUE = "archive.dispatch_due"
SCAN = "archive.scan"
TIDY = "archive.tidy"

_TIDY_S = 3600.0
TELL_ALARMS = "archive.tell_alarms"
SCRUB_DUE = "archive.scrub_due"
SCRUB_EVERY_S = 3600.0

_CHATTY = ("celery.beat", "celery.app.trace", "celery.worker.strategy")  # a line for each tick

broker.use()
app = Celery("archive_node")


def _filesystem_options() -> dict[str, object]:
    folders = {name: CONFIG.broker_dir / name for name in ("messages", "control")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    return {
        "data_folder_in": str(folders["messages"]),
        "data_folder_out": str(folders["messages"]),
        "control_folder": str(folders["control"]),
        "polling_interval": 0.2,
    }


def _transport_options() -> dict[str, object]:
    if CONFIG.broker_url.startswith("filesystem"):
        return _filesystem_options()
    # whoever asks for a job does not wait for a broker that is away: the next tick sends it
    return {"socket_connect_timeout": 3.0} if CONFIG.broker_url.startswith("redis") else {}


app.conf.update(
    broker_url=CONFIG.broker_url,
    broker_transport_options=_transport_options(),
    broker_connection_retry_on_startup=True,
    imports=["archive_node.tasks"],
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    worker_hijack_root_logger=False,
    beat_schedule={
        "dispatch": {
            "task": DISPATCH_DUE,
            "schedule": CONFIG.dispatch_s,
            "options": {"expires": CONFIG.dispatch_s},
        },
        "scan": {
            "task": SCAN,
            "schedule": CONFIG.scan_s,
            "options": {"expires": CONFIG.scan_s},
        },
        "tidy": {"task": TIDY, "schedule": _TIDY_S, "options": {"expires": _TIDY_S}},
        "alarms": {
            "task": TELL_ALARMS,
            "schedule": CONFIG.dispatch_s,
            "options": {"expires": CONFIG.dispatch_s},
        },
        "scrub": {
            "task": SCRUB_DUE,
            "schedule": SCRUB_EVERY_S,
            "options": {"expires": SCRUB_EVERY_S},
        },
    },
)


@setup_logging.connect
def _log_json_lines(**kwargs: object) -> None:
    config = logs.configuration(CONFIG.log_level, CONFIG.log_dir, CONFIG.log_format)
    quiet = {name: {"level": "WARNING"} for name in _CHATTY}
    config["loggers"] = {**config["loggers"], **quiet}
    logging.config.dictConfig(config)
