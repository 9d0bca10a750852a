"""The second step of a login (TOTP, RFC 6238): pyotp computes, each code is taken once."""

from __future__ import annotations

import base64
import hmac
import secrets
import time

import pyotp
from cryptography.fernet import InvalidToken, MultiFernet
from django.db import transaction
from django.utils import timezone

from pacs_web import config
from pacs_web.accounts.models import Account, Authenticator, GroupRule, RecoveryCode
from pacs_web.accounts.tokens import digest_of
from pacs_web.sealed import keys

STEP_S = 30
DRIFT = 1  # steps that a telephone's clock may be off
RECOVERY_CODES = 10
ISSUER = "Argens"
_PURPOSE = b"argens portal: secrets of the second step"


def needed_by(account: Account) -> bool:
    """Return whether a second step is asked of this person even inside the hospital."""
    rules = GroupRule.objects.filter(group__user=account, needs_two_steps=True)
    return account.needs_two_steps or rules.exists()


def enrolled(account: Account) -> bool:
    """Return whether the person has an authenticator."""
    return Authenticator.objects.filter(owner=account).exists()


def new_secret() -> str:
    """Return a secret for a telephone, in Base32."""
    return pyotp.random_base32()


def address_of(secret: str, account: Account) -> str:
    """Return the otpauth address that a QR code carries."""
    return pyotp.TOTP(secret).provisioning_uri(name=account.get_username(), issuer_name=ISSUER)


def step_of(secret: str, code: str, after: int = 0) -> int | None:
    """Return the time step of a right code that is later than `after`, else None."""
    now = int(time.time()) // STEP_S
    totp = pyotp.TOTP(secret)
    for step in range(max(now - DRIFT, after + 1), now + DRIFT + 1):
        if hmac.compare_digest(totp.generate_otp(step), code):
            return step
    return None


@transaction.atomic
def enrol(account: Account, secret: str, step: int) -> list[str]:
    """Keep a person's authenticator, whose code of `step` was shown; return recovery codes."""
    Authenticator.objects.update_or_create(
        owner=account, defaults={"sealed_secret": _sealed(secret), "last_step": step}
    )
    return renew_recovery_codes(account)


@transaction.atomic
def renew_recovery_codes(account: Account) -> list[str]:
    """Make new recovery codes; the old ones are void. They cannot be read again."""
    codes = [_recovery_code() for _ in range(RECOVERY_CODES)]
    account.recovery_codes.all().delete()
    RecoveryCode.objects.bulk_create(
        RecoveryCode(owner=account, digest=digest_of(_plain(code))) for code in codes
    )
    return codes


@transaction.atomic
def forget(account: Account) -> None:
    """Remove a person's authenticator and recovery codes."""
    Authenticator.objects.filter(owner=account).delete()
    account.recovery_codes.all().delete()


def passes(account: Account, typed: str) -> bool:
    """Return whether a typed code is the authenticator's or a recovery code; it is used up."""
    code = _plain(typed)
    if len(code) == 6 and code.isascii() and code.isdigit():
        return _passes_by_time(account, code)
    unused = RecoveryCode.objects.filter(owner=account, digest=digest_of(code), used_at=None)
    return unused.update(used_at=timezone.now()) == 1


def _passes_by_time(account: Account, code: str) -> bool:
    kept = Authenticator.objects.filter(owner=account).first()
    secret = _unsealed(kept.sealed_secret) if kept else None
    step = step_of(secret, code, kept.last_step) if kept and secret else None
    if step is None:
        return False
    earlier = Authenticator.objects.filter(owner=account, last_step__lt=step)
    return earlier.update(last_step=step) == 1  # of two logins with one code, one passes


def _plain(typed: str) -> str:
    return "".join(typed.split()).replace("-", "").upper()


def _recovery_code() -> str:
    code = base64.b32encode(secrets.token_bytes(10)).decode()
    return "-".join(code[at : at + 4] for at in range(0, len(code), 4))


def _sealed(secret: str) -> str:
    return _keys().encrypt(secret.encode()).decode()


def _unsealed(kept: str) -> str | None:
    """Return the secret, or None where it was kept under another PACS_SECRET_KEY."""
    try:
        return _keys().decrypt(kept.encode()).decode()
    except InvalidToken:
        return None


def resealed(kept: str) -> str:
    """Return a sealed secret under today's key; InvalidToken where no key reads it."""
    return _keys().rotate(kept.encode()).decode()


def _keys() -> MultiFernet:
    return keys(_PURPOSE, config.SECRET_KEY, config.SECRET_KEY_OLD)
