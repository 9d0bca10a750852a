"""What the tests of the real library do with a vault, over and over."""

from __future__ import annotations

from archive_node.vault.base import Vault, Volume

ONE, TWO, THREE = (f"CT/1.2/r{number}-1.tar" for number in (1, 2, 3))


def put(vault: Vault, member: str, content: bytes) -> str:
    """Append a member; return its volume's label."""
    return vault.append(member, len(content), lambda file: file.write(content))


def get(vault: Vault, label: str, member: str) -> bytes:
    """Return a member's bytes."""
    with vault.warm(label) as mounted, mounted.open(member) as file:
        return file.read()


def members(vault: Vault, label: str) -> list[str]:
    """Return the names of a volume's members."""
    with vault.warm(label) as mounted:
        return mounted.members()


def use(vault: Vault, label: str) -> None:
    """Warm a volume and let it go again."""
    with vault.warm(label):
        pass


def volume(vault: Vault, label: str) -> Volume:
    """Return a volume as it stands."""
    return next(each for each in vault.volumes() if each.label == label)


def states(vault: Vault) -> dict[str, str]:
    """Return each volume's state."""
    return {each.label: str(each.state) for each in vault.volumes()}
