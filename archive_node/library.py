"""The vaults that this archive writes to, each checked against the one its catalogue speaks of."""

from __future__ import annotations

from django.conf import settings

from archive_node.models import KnownVault
from archive_node.vault import kinds
from archive_node.vault.base import Vault, VaultUnavailable, VolumeState
from archive_node.vault_setting import VaultSpec
from pacs_common import errors
from pacs_common.sentences import say

_DRIVES: dict[str, int] = {}  # of the vaults that were opened
_DOUBTFUL = (VolumeState.SUSPECT, VolumeState.RETIRED)


def specs() -> dict[str, VaultSpec]:
    """Return the vaults of the settings, by name, in their order."""
    return settings.ARCHIVE.vaults


def required() -> list[str]:
    """Return the names of the vaults that hold every study before it is evicted."""
    return [spec.name for spec in specs().values() if spec.is_required]


def vault(name: str) -> Vault:
    """Return a vault; raises VaultUnavailable where it is gone or another stands in its place.

    It is made only while the catalogue knows of none by that name: a vault whose mount vanished
    must never be taken for a new one. Raises BadInput where the settings name no such vault.
    """
    spec = specs().get(name)
    if spec is None:
        raise errors.BadInput(f"no vault is called {name[:40]!r} here")
    known = KnownVault.objects.filter(name=name).first()
    if known is None:
        made = kinds.create(spec, settings.ARCHIVE.vault_defaults)
        known, _ = KnownVault.objects.get_or_create(
            name=name, defaults={"library_id": made.library_id}
        )
    found = kinds.opened(spec, settings.ARCHIVE.vault_defaults)
    if found.library_id != known.library_id:
        raise VaultUnavailable(say("vault-swapped", folder=spec.place, vault=name))
    _DRIVES[name] = found.drives
    return found


def drives_of(name: str) -> int:
    """Return how many drives a vault has, without asking it; 0 where nobody has opened it yet."""
    return _DRIVES.get(name, 0)


def doubtful(of: Vault) -> set[str]:
    """Return the labels of the volumes on which no copy counts as one: suspect or retired ones.

    A copy on a suspect volume is a source where there is no other.
    """
    return {volume.label for volume in of.volumes() if volume.state in _DOUBTFUL}


def relied_on(of: Vault) -> set[str]:
    """Return the labels of the other volumes."""
    return {volume.label for volume in of.volumes() if volume.state not in _DOUBTFUL}


def answering() -> tuple[list[Vault], dict[str, str]]:
    """Return the vaults that are there, and why each of the others is not, by name."""
    found, missing = [], {}
    for name in specs():
        try:
            found.append(vault(name))
        except (errors.ArgensError, OSError) as error:
            missing[name] = str(error)
    return found, missing
