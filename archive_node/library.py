"""The vault that this archive writes to, checked against the one that its catalogue speaks of."""

from django.conf import settings

from archive_node.models import KnownVault
from archive_node.vault.base import Vault, VaultUnavailable
from archive_node.vault.tape import TapeLibrary

NAME = "vault-1"


def vault() -> Vault:
    """Return the vault; raises VaultUnavailable where it is gone or another stands in its place.

    It is made only while the catalogue knows of none: a vault whose mount vanished must never be
    taken for a new one.
    """
    config = settings.ARCHIVE
    size = {"drives": config.drives, "volume_bytes": config.volume_bytes}
    known = KnownVault.objects.filter(name=NAME).first()
    if known is None:
        made = TapeLibrary.create(config.vault_dir, name=NAME, **size)
        known, _ = KnownVault.objects.get_or_create(
            name=NAME, defaults={"library_id": made.library_id}
        )
    library = TapeLibrary(config.vault_dir, **size)
    if library.library_id != known.library_id:
        raise VaultUnavailable(f"{config.vault_dir} is another library than {NAME} was")
    return library
