"""Which class a vault of the settings is."""

from __future__ import annotations

from archive_node.vault.base import Vault
from archive_node.vault.library.vault import ChangerLibrary
from archive_node.vault.tape import TapeLibrary
from archive_node.vault_setting import BadSpec, VaultDefaults, VaultSpec

_KINDS: dict[str, type[Vault]] = {"tape": TapeLibrary, "library": ChangerLibrary}


def opened(spec: VaultSpec, defaults: VaultDefaults) -> Vault:
    """Return the vault that is there; raises VaultUnavailable, or BadSpec."""
    return _kind(spec).at(spec, defaults)


def create(spec: VaultSpec, defaults: VaultDefaults) -> Vault:
    """Return the vault, made where there is none; raises VaultUnavailable, or BadSpec."""
    return _kind(spec).create_at(spec, defaults)


def _kind(spec: VaultSpec) -> type[Vault]:
    try:
        return _KINDS[spec.kind]
    except KeyError:
        raise BadSpec(f"{spec.name}: there is no vault of kind {spec.kind}") from None
