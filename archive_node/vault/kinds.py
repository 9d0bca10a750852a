"""Which class a vault of the settings is."""

from __future__ import annotations

from importlib import import_module

from archive_node.vault.base import Vault
from archive_node.vault_setting import BadSpec, VaultDefaults, VaultSpec

_KINDS = {  # imported where one is used: a worker without S3 need not hold boto3
    "tape": ("archive_node.vault.tape", "TapeLibrary"),
    "library": ("archive_node.vault.library.vault", "ChangerLibrary"),
    "disk": ("archive_node.vault.disk", "DiskVault"),
    "s3": ("archive_node.vault.s3", "ObjectVault"),
}


def opened(spec: VaultSpec, defaults: VaultDefaults) -> Vault:
    """Return the vault that is there; raises VaultUnavailable, or BadSpec."""
    return _kind(spec).at(spec, defaults)


def create(spec: VaultSpec, defaults: VaultDefaults) -> Vault:
    """Return the vault, made where there is none; raises VaultUnavailable, or BadSpec."""
    return _kind(spec).create_at(spec, defaults)


def _kind(spec: VaultSpec) -> type[Vault]:
    try:
        module, name = _KINDS[spec.kind]
    except KeyError:
        raise BadSpec(f"{spec.name}: there is no vault of kind {spec.kind}") from None
    return getattr(import_module(module), name)
