"""The portal's settings, read from the environment once, each typed and documented."""

from __future__ import annotations

import re

from pacs_common import ticket_keys
from pacs_common.authorities import read_authorities
from pacs_common.backup.setting import read_backups
from pacs_common.env import Env, SettingError

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

env = Env()

DATA_DIR = env.path("PACS_DATA_DIR", "var/portal", "Folder of the portal's database and keys.")
TRUST_DIR = env.path(
    "PACS_TRUST_DIR", "var/trust", "Folder of the issuers' public keys, shared by all roles."
)
SECRET_KEY = env.secret(
    "PACS_SECRET_KEY",
    "Signs sessions and forms; generated at first start unless given.",
    kept_in=DATA_DIR / "secret.key",
)
SECRET_KEY_OLD = env.text(
    "PACS_SECRET_KEY_OLD",
    "",
    "PACS_SECRET_KEY before it was replaced: what it signed or encrypted goes on being read.",
)
TICKET_KEY = env.secret(
    "PACS_TICKET_KEY",
    "Private key, Ed25519 in PEM, that signs the portal's tickets.",
    kept_in=DATA_DIR / "portal.key.pem",
    made=ticket_keys.new_key,
)
TICKET_KEY_FILE = env.secret_file("PACS_TICKET_KEY", kept_in=DATA_DIR / "portal.key.pem")
CA_FILE = read_authorities(env)
REGISTRY_KEY = env.text(
    "PACS_REGISTRY_KEY",
    "",
    "Encrypts the passwords of foreign servers; empty for a key made of PACS_SECRET_KEY.",
)
REGISTRY_KEY_OLD = env.text(
    "PACS_REGISTRY_KEY_OLD",
    "",
    "PACS_REGISTRY_KEY before it was replaced, until `manage.py web reseal` has run.",
)
DATABASE_URL = env.text("PACS_DATABASE_URL", "", "Database; empty means SQLite in the data folder.")
HTTP_BIND = env.text("PACS_HTTP_BIND", "127.0.0.1", "Address that the pages are served on.")
HTTP_PORT = env.integer("PACS_HTTP_PORT", 8000, "Port of the pages.", low=1, high=65535)
HTTP_WORKERS = env.integer("PACS_HTTP_WORKERS", 2, "Processes of 32 threads each.", low=1, high=64)
ALLOWED_HOSTS = env.text(
    "PACS_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]", "Host names that the portal answers to."
)
HTTPS = env.boolean(
    "PACS_HTTPS", False, "People reach the portal over HTTPS: cookies are marked Secure."
)
NODES = env.pairs("PACS_NODES", "", "Nodes to register at start, NAME=url,NAME=url.")
NODE_TIMEOUT_S = env.number(
    "PACS_NODE_TIMEOUT_S", 5.0, "Seconds until a node that does not answer is given up.", low=0.1
)
VIEWER_DIR = env.path(
    "PACS_VIEWER_DIR",
    DATA_DIR / "full-viewer",
    "Folder in which `install-viewer` puts the full viewer (OHIF).",
)
STOW_NODE = env.text(
    "PACS_STOW_NODE", "", "Server of new exams that no rule of IT places; empty for the first one."
)
IMPORT_BYTES = env.integer(
    "PACS_IMPORT_BYTES",
    8 << 30,
    "Most bytes that one import of a medium may hold, unpacked.",
    low=1 << 20,
)
ARCHIVE_URL = env.text("PACS_ARCHIVE_URL", "", "Address of the archive node; empty without one.")
DEMO_ACCOUNTS_FILE = env.text(
    "PACS_DEMO_ACCOUNTS_FILE",
    "",
    "Where `run` writes the demo people's passwords and tokens, made once; empty for none.",
)
SESSION_S = env.integer("PACS_SESSION_S", 8 * 3600, "Seconds until a login ends.", low=60)
SESSION_IDLE_S = env.integer(
    "PACS_SESSION_IDLE_S", 3600, "Seconds without an act after which a login ends.", low=60
)
OUTSIDE_SESSION_S = env.integer(
    "PACS_OUTSIDE_SESSION_S", 1800, "Seconds until a login from outside ends.", low=60
)
INSIDE_NETWORKS = env.networks(
    "PACS_INSIDE_NETWORKS",
    "",
    "The hospital's own networks (CIDR, by comma); from outside of them a second step is always "
    "asked. Empty: everywhere is inside.",
)
TRUSTED_PROXIES = env.networks(
    "PACS_TRUSTED_PROXIES",
    "",
    "Reverse proxies (CIDR, by comma) whose X-Forwarded-For tells where a request comes from.",
)
ACCEL_PREFIX = env.text(
    "PACS_ACCEL_PREFIX",
    "",
    "Internal location of nginx in front, like /_node/, below which `manage.py web nginx` puts the "
    "nodes: it fetches pictures and objects from them itself.",
)
CACHE_URL = env.text(
    "PACS_CACHE_URL",
    "",
    "Redis (redis://...) that keeps for seconds what nodes told; empty: each process's memory.",
)
LOGIN_FAILURES = env.integer(
    "PACS_LOGIN_FAILURES", 5, "Wrong passwords until an account and address are locked.", low=1
)
LINK_S = env.integer(
    "PACS_LINK_S", 86400, "Seconds for which a one-time link to choose a password is good.", low=60
)
ADDRESS_FAILURES = env.integer(
    "PACS_ADDRESS_FAILURES", 50, "Failed logins until an address is locked for all names.", low=1
)
ACCOUNT_FAILURES = env.integer(
    "PACS_ACCOUNT_FAILURES", 25, "Failed logins until an account is locked everywhere.", low=1
)
LOCKOUT_S = env.integer("PACS_LOCKOUT_S", 900, "Seconds that such a lock lasts.", low=1)
AUDIT_COLLECT_S = env.number(
    "PACS_AUDIT_COLLECT_S",
    60.0,
    "Seconds between two collections of the nodes' and the archive's audit.",
    low=1,
)
AUDIT_SYSLOG_HOST = env.text(
    "PACS_AUDIT_SYSLOG_HOST",
    "",
    "Receiver of the audit as DICOM audit messages by syslog over TLS; empty for none.",
)
AUDIT_SYSLOG_PORT = env.integer(
    "PACS_AUDIT_SYSLOG_PORT", 6514, "Port of that receiver.", low=1, high=65535
)
AUDIT_SYSLOG_CA = env.text(
    "PACS_AUDIT_SYSLOG_CA",
    "",
    "File of the authorities, PEM, that may vouch for that receiver; empty for the system's.",
)
AUDIT_SYSLOG_CERT = env.text(
    "PACS_AUDIT_SYSLOG_CERT",
    "",
    "File of the certificate, PEM, that the portal shows that receiver; empty for none.",
)
AUDIT_SYSLOG_KEY = env.text(
    "PACS_AUDIT_SYSLOG_KEY", "", "File of that certificate's key, PEM; empty if it is in the same."
)
AUDIT_ANCHOR_FILE = env.path(
    "PACS_AUDIT_ANCHOR_FILE",
    DATA_DIR / "audit-anchors.jsonl",
    "File to which the end of the audit's chain is written, best on another machine's disk.",
)
OPENID_ISSUER = env.text(
    "PACS_OPENID_ISSUER",
    "",
    "Address of an OpenID Connect provider where people may log in; empty for none.",
)
OPENID_NAME = env.text(
    "PACS_OPENID_NAME", "OpenID Connect", "What the login page calls that provider."
)
OPENID_CLIENT_ID = env.text("PACS_OPENID_CLIENT_ID", "", "What the provider calls this portal.")
OPENID_CLIENT_SECRET = env.text(
    "PACS_OPENID_CLIENT_SECRET", "", "The secret that the provider gave this portal."
)
OPENID_LOGIN_CLAIM = env.text(
    "PACS_OPENID_LOGIN_CLAIM", "preferred_username", "Claim that holds a person's login name."
)
OPENID_GROUPS_CLAIM = env.text(
    "PACS_OPENID_GROUPS_CLAIM", "groups", "Claim that lists a person's groups there."
)
OPENID_SECOND_STEP = env.boolean(
    "PACS_OPENID_SECOND_STEP",
    False,
    "The provider itself asks everybody a second step: no other is asked from outside.",
)
OUTSIDE_GROUPS = env.pairs(
    "PACS_OUTSIDE_GROUPS",
    "",
    "Groups here of groups there: clinician=Radiologists,it=PACS admins; only these are kept up.",
)
BREAK_GLASS_S = env.integer(
    "PACS_BREAK_GLASS_S",
    4 * 3600,
    "Seconds for which an exam is open to a person who broke the glass.",
    low=60,
)
BACKUPS = read_backups(env, "portal")
LOG_LEVEL = env.text("PACS_LOG_LEVEL", "INFO", "DEBUG, INFO, WARNING or ERROR.")
LOG_FORMAT = env.text("PACS_LOG_FORMAT", "json", "Form of the log on standard error: json or text.")

try:
    ticket_keys.read_private(TICKET_KEY)
except ValueError as _error:
    raise SettingError("PACS_TICKET_KEY", str(_error)) from None
if LOG_LEVEL not in LOG_LEVELS:
    raise SettingError("PACS_LOG_LEVEL", f"{LOG_LEVEL!r} is not one of {', '.join(LOG_LEVELS)}")
if LOG_FORMAT not in ("json", "text"):
    raise SettingError("PACS_LOG_FORMAT", f"{LOG_FORMAT!r} is neither json nor text")
if ACCEL_PREFIX and not re.fullmatch(r"/(?:[\w.-]+/)+", ACCEL_PREFIX, re.ASCII):
    raise SettingError("PACS_ACCEL_PREFIX", f"{ACCEL_PREFIX!r} does not begin and end with a slash")
if ACCEL_PREFIX and not TRUSTED_PROXIES:
    raise SettingError("PACS_TRUSTED_PROXIES", "is wanted with PACS_ACCEL_PREFIX")
if CACHE_URL and not CACHE_URL.startswith(("redis://", "rediss://", "unix://")):
    raise SettingError("PACS_CACHE_URL", "is no redis address")  # it may hold a password
if OPENID_ISSUER and not OPENID_CLIENT_ID:
    raise SettingError("PACS_OPENID_CLIENT_ID", "is wanted with PACS_OPENID_ISSUER")
for _name, _url in [*NODES.items(), ("archive", ARCHIVE_URL or "http://")]:
    if not _url.startswith(("http://", "https://")):
        raise SettingError("PACS_NODES / PACS_ARCHIVE_URL", f"{_name}: {_url!r} is no HTTP address")
