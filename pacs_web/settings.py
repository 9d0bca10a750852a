"""Django's settings of the portal; what a hospital may change is in `config.py`."""

from __future__ import annotations

from datetime import timedelta

import dj_database_url

from pacs_common.logs import configuration
from pacs_common.measures import shared_files
from pacs_web import config

config.DATA_DIR.mkdir(parents=True, exist_ok=True)

SECRET_KEY = config.SECRET_KEY
SECRET_KEY_FALLBACKS = [config.SECRET_KEY_OLD] if config.SECRET_KEY_OLD else []
DEBUG = False
ALLOWED_HOSTS = [host.strip() for host in config.ALLOWED_HOSTS.split(",") if host.strip()]
ROOT_URLCONF = "pacs_web.urls"
WSGI_APPLICATION = "pacs_web.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "pacs_web",
    "pacs_web.accounts",
    "pacs_web.audit",
    "pacs_web.federation",
    "pacs_web.nodes",
    "pacs_web.studies",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "axes",
]

MIDDLEWARE = [
    "pacs_common.measures.served.note_route",
    "pacs_web.accounts.addresses.believe_proxies",
    "pacs_web.middleware.trace_requests",
    "pacs_web.middleware.send_security_headers",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "pacs_web.accounts.sessions.end_sessions",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "pacs_web.middleware.explain_errors",
    "axes.middleware.AxesMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "pacs_web.menu.menu",
            ]
        },
    }
]

DATABASES = {
    "default": dj_database_url.parse(
        config.DATABASE_URL or f"sqlite:///{config.DATA_DIR / 'portal.sqlite3'}",
        conn_max_age=60,
        conn_health_checks=True,
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }

if config.CACHE_URL:
    CACHES = {
        "default": {
            "BACKEND": "pacs_web.cached.ForgivingRedis",
            "LOCATION": config.CACHE_URL,
            "KEY_PREFIX": "argens-portal",
        }
    }

AUTH_USER_MODEL = "accounts.Account"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGOUT_REDIRECT_URL = "login"

PASSWORD_RESET_TIMEOUT = config.LINK_S
AXES_FAILURE_LIMIT = config.LOGIN_FAILURES
AXES_COOLOFF_TIME = timedelta(seconds=config.LOCKOUT_S)
AXES_HANDLER = "pacs_web.accounts.lockout.BroadHandler"
AXES_SENSITIVE_PARAMETERS = ["code"]
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_LOCKOUT_TEMPLATE = "accounts/locked.html"
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # guessing on must not prolong the lock
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

SESSION_COOKIE_NAME = "argens_session"
SESSION_COOKIE_AGE = config.SESSION_S
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = config.HTTPS
SESSION_EXPIRE_AT_BROWSER_CLOSE = True  # reading stations are shared
CSRF_COOKIE_NAME = "argens_csrf"
CSRF_COOKIE_SECURE = config.HTTPS
CSRF_FAILURE_VIEW = "pacs_web.pages.stale_form"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if config.HTTPS else None
SECURE_REFERRER_POLICY = "same-origin"
SECURE_SSL_REDIRECT = config.HTTPS
SECURE_REDIRECT_EXEMPT = ["^healthz$", "^readyz$", "^metrics$", "^api/introspect$"]  # by machines
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if config.HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = config.HTTPS
SILENCED_SYSTEM_CHECKS = ["security.W021"]  # a hospital's host is on no browser's preload list
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"

STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True  # served from where they lie: nothing to collect or forget

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("fr", "Français")]
LANGUAGE_COOKIE_NAME = "argens_language"
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_SECURE = config.HTTPS
USE_I18N = True
USE_TZ = True
TIME_ZONE = "Europe/Paris"

shared_files.keep_in(config.DATA_DIR / "measures")

LOGGING_CONFIG = "logging.config.dictConfig"
LOGGING = configuration(config.LOG_LEVEL, config.DATA_DIR / "log", config.LOG_FORMAT)
LOGGING["loggers"]["axes"] = {"level": "WARNING"}  # type: ignore[index]
