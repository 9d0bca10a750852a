"""The portal's people and what belongs to them, a file for each subject."""

from pacs_web.accounts.models.account import Account
from pacs_web.accounts.models.glass import BrokenGlass
from pacs_web.accounts.models.limits import Limit, NodeRule
from pacs_web.accounts.models.session import Duty, OpenSession
from pacs_web.accounts.models.token import ApiToken
from pacs_web.accounts.models.two_steps import Authenticator, GroupRule, RecoveryCode

__all__ = [
    "Account",
    "ApiToken",
    "Authenticator",
    "BrokenGlass",
    "Duty",
    "GroupRule",
    "Limit",
    "NodeRule",
    "OpenSession",
    "RecoveryCode",
]
