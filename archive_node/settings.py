"""Django settings of the archive role; everything that varies comes from `config.py`."""

import dj_database_url

from archive_node.config import CONFIG
from pacs_common import logs
from pacs_common.measures import shared_files

ARCHIVE = CONFIG

SECRET_KEY = CONFIG.secret_key
DEBUG = False
ALLOWED_HOSTS = ["*"]  # nothing the archive answers depends on the Host header
ROOT_URLCONF = "archive_node.urls"
WSGI_APPLICATION = "archive_node.wsgi.application"
INSTALLED_APPS = ["archive_node"]
MIDDLEWARE = ["pacs_common.measures.served.note_route"]
TEMPLATES: list[dict[str, object]] = []
APPEND_SLASH = False
SILENCED_SYSTEM_CHECKS = [  # no pages and no cookies: nothing to frame or to forge
    *("security.W001", "security.W002", "security.W003"),
]
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1 << 16

DATABASES = {
    "default": dj_database_url.parse(CONFIG.database_url, conn_max_age=60, conn_health_checks=True)
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        # a node deletes files because of these rows: a power cut may not take them back
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
    DATABASES["default"]["TEST"] = {"NAME": str(CONFIG.data_dir / "test-archive.sqlite3")}

EMAIL_HOST, EMAIL_PORT = CONFIG.smtp_host, CONFIG.smtp_port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = CONFIG.smtp_user, CONFIG.smtp_password
EMAIL_USE_TLS, EMAIL_USE_SSL = CONFIG.smtp_tls == "starttls", CONFIG.smtp_tls == "tls"
EMAIL_TIMEOUT = 10

shared_files.keep_in(CONFIG.data_dir / "measures")

LOGGING = logs.configuration(CONFIG.log_level, CONFIG.log_dir, CONFIG.log_format)
