"""What a vault's setting says of its object store."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from archive_node.vault_setting import BadSpec, VaultDefaults, VaultSpec

LEAST_PART_BYTES = 5 << 20  # of every part but the last: S3's own limit
_CHECKSUMS = ("sha256", "md5")
_STYLES = ("path", "virtual", "auto")
_TIERS = ("Standard", "Bulk", "Expedited")


@dataclass(frozen=True)
class Options:
    """One store as it is to be spoken to; sizes in bytes, times in seconds."""

    bucket: str
    prefix: str  # empty, or ends with /
    endpoint: str
    region: str
    profile: str
    style: str
    storage_class: str
    checksum: str
    part_bytes: int
    uploads: int
    timeout_s: float
    attempts: int
    restore_tier: str
    restore_days: int
    volume_bytes: int


def read(spec: VaultSpec, defaults: VaultDefaults) -> Options:
    """Return the options of `s3://bucket/prefix?...`; raises BadSpec (docs/vaults.md)."""
    spec.only(
        "endpoint", "region", "profile", "style", "storage_class", "checksum", "part", "uploads",
        "timeout_s", "attempts", "restore_tier", "restore_days", "volume",
    )  # fmt: skip
    bucket, prefix = _place(spec)
    endpoint = spec.text("endpoint")
    if endpoint and urlsplit(endpoint).scheme not in {"http", "https"}:
        raise BadSpec(f"endpoint of {spec.name} is an address like https://store.example")
    return Options(
        bucket=bucket,
        prefix=prefix,
        endpoint=endpoint,
        region=spec.text("region", "us-east-1" if endpoint else ""),
        profile=spec.text("profile"),
        style=_one_of(spec, "style", _STYLES, "path" if endpoint else "auto"),
        storage_class=spec.text("storage_class"),
        checksum=_one_of(spec, "checksum", _CHECKSUMS, "sha256"),
        part_bytes=spec.size("part", 16 << 20, low=LEAST_PART_BYTES),
        uploads=int(spec.number("uploads", 3, low=1)),
        timeout_s=spec.number("timeout_s", 60, low=0.1),
        attempts=int(spec.number("attempts", 5, low=1)),
        restore_tier=_one_of(spec, "restore_tier", _TIERS, "Standard"),
        restore_days=int(spec.number("restore_days", 3, low=1)),
        volume_bytes=spec.size("volume", defaults.volume_bytes, low=1000),
    )


def _place(spec: VaultSpec) -> tuple[str, str]:
    if not spec.place.startswith("//"):
        raise BadSpec(f"{spec.name}: s3:{spec.place} is not s3://bucket/prefix")
    bucket, _, prefix = spec.place[2:].partition("/")
    if not bucket:
        raise BadSpec(f"{spec.name}: s3:{spec.place} names no bucket")
    prefix = prefix.strip("/")
    return bucket, f"{prefix}/" if prefix else ""


def _one_of(spec: VaultSpec, name: str, known: tuple[str, ...], default: str) -> str:
    written = spec.text(name, default)
    if written not in known:
        raise BadSpec(f"{name} of {spec.name} is one of {', '.join(known)}")
    return written
