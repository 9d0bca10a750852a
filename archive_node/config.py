"""The archive's settings, read once from the environment; nonsense is refused at start."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path

from archive_node import alarm_setting, key_file, time_zone, vault_setting
from archive_node.alarm_setting import AlarmSetting
from archive_node.vault_setting import VaultDefaults, VaultSpec
from pacs_common import ticket_keys
from pacs_common.authorities import read_authorities
from pacs_common.backup.setting import Backups, read_backups
from pacs_common.env import Env, SettingError

_NODE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}\Z")  # it names folders on volumes

_BROKERS = ("filesystem://", "redis://", "rediss://", "redis+socket://")


@dataclass(frozen=True)
class ArchiveConfig(Backups, AlarmSetting):
    """Everything that the archive is told; sizes in bytes, times in seconds."""

    data_dir: Path
    trust_dir: Path
    vault_dir: Path
    vaults_written: dict[str, str]
    database_url: str
    broker_url: str
    secret_key: str
    ticket_key: str = field(repr=False)
    ticket_key_file: Path | None
    ca_file: str
    log_level: str
    log_format: str
    http_bind: str
    http_port: int
    nodes: dict[str, str]
    quiet_s: float
    evict_after_days: float
    high_watermark: float
    low_watermark: float
    least_age_days: float
    evict_approval: bool
    volume_bytes: int
    drives: int
    scan_s: float
    full_scan_s: float
    dispatch_s: float
    lease_s: float
    jobs_at_once: int
    jobs_keep_days: float
    time_zone: tzinfo
    priors: int
    scrub_days: float
    member_bytes: int
    keys: dict[str, bytes] = field(repr=False)
    keys_file: str

    @property
    def vaults(self) -> dict[str, VaultSpec]:
        """The vaults, by name: those that were named, or else one in `vault_dir`."""
        written = self.vaults_written or {"vault-1": f"tape:{self.vault_dir}"}
        return {name: vault_setting.read(name, text) for name, text in written.items()}

    @property
    def vault_defaults(self) -> VaultDefaults:
        """What a vault takes where its own options say nothing."""
        return VaultDefaults(self.drives, self.volume_bytes, self.data_dir / "vaults")

    @property
    def staging_dir(self) -> Path:
        """Where instances wait between the node and a volume."""
        return self.data_dir / "staging"

    @property
    def broker_dir(self) -> Path:
        """The folder of kombu's filesystem broker."""
        return self.data_dir / "broker"

    @property
    def log_dir(self) -> Path:
        """Where the last lines of the log are kept, for IT."""
        return self.data_dir / "log"


def read(env: Env) -> ArchiveConfig:
    """Return the archive's configuration; raises SettingError with one line."""
    data_dir = env.path("PACS_DATA_DIR", "var/archive", "Folder that holds all the role writes.")
    config = ArchiveConfig(
        data_dir=data_dir,
        trust_dir=env.path(
            "PACS_TRUST_DIR",
            "var/trust",
            "Folder of the issuers' public keys, shared by all roles.",
        ),
        vault_dir=env.path(
            "PACS_VAULT_DIR",
            data_dir / "vault",
            "Folder of the one virtual tape library where PACS_VAULTS names none.",
        ),
        vaults_written=_vaults(
            env.pairs(
                "PACS_VAULTS",
                "",
                "The vaults, NAME=kind:place?options (docs/vaults.md); empty: PACS_VAULT_DIR.",
            )
        ),
        database_url=env.text(
            "PACS_DATABASE_URL",
            f"sqlite:///{data_dir}/archive.sqlite3",
            "The role's own database, as a URL (sqlite or postgres).",
        ),
        broker_url=_broker(
            env.text(
                "PACS_BROKER_URL",
                "filesystem://localhost",
                "Celery's broker: filesystem://localhost (a folder below PACS_DATA_DIR), "
                "redis://...",
            )
        ),
        secret_key=env.secret(
            "PACS_SECRET_KEY",
            "Key of what Django signs; generated at first start.",
            kept_in=data_dir / "secret-key",
        ),
        ticket_key=_ticket_key(
            env.secret(
                "PACS_TICKET_KEY",
                "Private key, Ed25519 in PEM, that signs the archive's tickets.",
                kept_in=data_dir / "archive.key.pem",
                made=ticket_keys.new_key,
            )
        ),
        ticket_key_file=env.secret_file("PACS_TICKET_KEY", kept_in=data_dir / "archive.key.pem"),
        ca_file=read_authorities(env),
        log_level=env.text("PACS_LOG_LEVEL", "INFO", "Least severe level that is logged."),
        log_format=env.text(
            "PACS_LOG_FORMAT", "json", "Form of the log on standard error: json or text."
        ),
        http_bind=env.text("PACS_HTTP_BIND", "127.0.0.1", "Address of the HTTP port."),
        http_port=env.integer(
            "PACS_HTTP_PORT", 8200, "Port of the archive's interface.", high=65535
        ),
        nodes=_nodes(env.pairs("PACS_NODES", "", "The nodes that are archived, NAME=url.")),
        quiet_s=env.number(
            "PACS_QUIET_S", 900.0, "A study is copied when nothing arrived for this long."
        ),
        evict_after_days=env.number(
            "PACS_EVICT_AFTER_DAYS", 0.0, "Evict studies unused for so many days; 0 is never."
        ),
        high_watermark=env.number(
            "PACS_HIGH_WATERMARK",
            0.85,
            "Used part of a node's disk, its reserve left out, that starts eviction.",
            high=1,
        ),
        low_watermark=env.number(
            "PACS_LOW_WATERMARK",
            0.80,
            "Used part of a node's disk, its reserve left out, that ends eviction.",
            high=1,
        ),
        least_age_days=env.number(
            "PACS_EVICT_LEAST_AGE_DAYS", 0.0, "Nothing that arrived within so many days is evicted."
        ),
        evict_approval=env.boolean(
            "PACS_EVICT_APPROVAL", False, "A person approves each list of what is to be evicted."
        ),
        volume_bytes=env.integer(
            "PACS_VOLUME_BYTES",
            35 * 10**9,
            "Capacity of a new volume, where its vault does not say another.",
            low=20_480,
        ),
        drives=env.integer(
            "PACS_DRIVES",
            2,
            "Drives of a tape library that does not say another number.",
            low=1,
            high=100,
        ),
        scan_s=env.number("PACS_SCAN_S", 30.0, "Time between two scans of the nodes.", low=0.1),
        full_scan_s=env.number(
            "PACS_FULL_SCAN_S",
            3600.0,
            "Time between two scans of all that a node has; others ask for what changed.",
        ),
        dispatch_s=env.number(
            "PACS_DISPATCH_S", 30.0, "Time between two sendings of due jobs.", low=0.1
        ),
        lease_s=env.number(
            "PACS_LEASE_S", 60.0, "A job whose worker is silent this long is free again.", low=0.5
        ),
        member_bytes=env.integer(
            "PACS_MEMBER_BYTES",
            4 * 10**9,
            "A larger study is written in parts of about this size, each proven by itself.",
            low=1000,
        ),
        keys_file=(
            keys_file := env.text(
                "PACS_ARCHIVE_KEYS_FILE",
                "",
                "File of the keys that vaults name (mode 600; JSON, or lines of id = base64).",
            )
        ),
        keys=_keys(keys_file),
        priors=env.integer(
            "PACS_PRIORS",
            2,
            "Earlier exams of its patient that are recalled as a study arrives; 0 is none.",
        ),
        scrub_days=env.number(
            "PACS_SCRUB_DAYS", 90.0, "Each volume is read again after so many days; 0 is never."
        ),
        jobs_at_once=env.integer(
            "PACS_JOBS_AT_ONCE",
            3,
            "Jobs that run at once; one place is kept for recalls and evictions.",
            low=1,
            high=100,
        ),
        jobs_keep_days=env.number(
            "PACS_JOBS_KEEP_DAYS", 365.0, "Days for which jobs that are done can be looked up."
        ),
        time_zone=_zone(
            env.text(
                "PACS_TIME_ZONE",
                "",
                "Zone of the hours in which jobs run, like Europe/Paris; empty: the machine's.",
            )
        ),
        **vars(alarm_setting.read(env)),
        **vars(read_backups(env, "archive")),
    )
    if config.log_format not in ("json", "text"):
        raise SettingError("PACS_LOG_FORMAT", f"{config.log_format!r} is neither json nor text")
    if config.low_watermark > config.high_watermark:
        raise SettingError("PACS_LOW_WATERMARK", "is above PACS_HIGH_WATERMARK")
    for spec in config.vaults.values():
        if spec.key_id and spec.key_id not in config.keys:
            raise SettingError(
                "PACS_ARCHIVE_KEYS_FILE", f"has no key {spec.key_id!r}, which {spec.name} names"
            )
    return config


def _broker(url: str) -> str:
    """Return a broker's address; it may hold a password, so no error and no log tells it."""
    if not url.startswith(_BROKERS):
        raise SettingError("PACS_BROKER_URL", f"does not begin with one of {', '.join(_BROKERS)}")
    return url


def _ticket_key(pem: str) -> str:
    try:
        ticket_keys.read_private(pem)
    except ValueError as error:
        raise SettingError("PACS_TICKET_KEY", str(error)) from None
    return pem


def _keys(written: str) -> dict[str, bytes]:
    try:
        return key_file.read(Path(written)) if written else {}
    except key_file.BadKeyFile as error:
        raise SettingError("PACS_ARCHIVE_KEYS_FILE", str(error)) from None


def _vaults(pairs: dict[str, str]) -> dict[str, str]:
    for name, written in pairs.items():
        if not _NODE_NAME.match(name):
            raise SettingError("PACS_VAULTS", f"{name!r} is not letters, digits, - and _")
        try:
            vault_setting.read(name, written)
        except vault_setting.BadSpec as error:
            raise SettingError("PACS_VAULTS", str(error)) from None
    if pairs and not any(vault_setting.read(*pair).is_required for pair in pairs.items()):
        raise SettingError("PACS_VAULTS", "no vault is required: nothing would prove a copy")
    return pairs


def _zone(name: str) -> tzinfo:
    try:
        return time_zone.called(name) if name else time_zone.of_this_machine()
    except time_zone.NoSuchZone as error:
        raise SettingError("PACS_TIME_ZONE", str(error)) from None


def _nodes(pairs: dict[str, str]) -> dict[str, str]:
    for name, url in pairs.items():
        if not _NODE_NAME.match(name):
            raise SettingError("PACS_NODES", f"{name!r} is not letters, digits, - and _")
        if not url.startswith(("http://", "https://")):
            raise SettingError("PACS_NODES", f"{name}={url} is not NAME=http(s) address")
    return pairs


ENV = Env()
CONFIG = read(ENV)
