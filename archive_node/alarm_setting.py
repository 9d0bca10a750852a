"""The settings of alarms: when one begins, and who is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from pacs_common.env import Env, SettingError

_TLS = ("none", "starttls", "tls")


@dataclass(frozen=True)
class AlarmSetting:
    """What is alarming, in hours and seconds, and the mail server and webhook that are told."""

    alarm_full_h: float
    alarm_behind_h: float
    alarm_silent_s: float
    alarm_mail_to: tuple[str, ...]
    alarm_mail_from: str
    alarm_webhook: str
    alarm_webhook_secret: str
    smtp_host: str
    smtp_port: int
    smtp_user: str
    smtp_password: str
    smtp_tls: str


def read(env: Env) -> AlarmSetting:
    """Return these settings; raises SettingError with one line."""
    return AlarmSetting(
        alarm_full_h=env.number(
            "PACS_ALARM_FULL_H",
            12.0,
            "Hours before a node's disk is full, with too little to evict, that alarm.",
        ),
        alarm_behind_h=env.number(
            "PACS_ALARM_BEHIND_H",
            24.0,
            "Hours for which a quiet study may stay without its copies.",
        ),
        alarm_silent_s=env.number(
            "PACS_ALARM_SILENT_S", 1800.0, "Time for which a node may be silent before an alarm."
        ),
        alarm_mail_to=_addresses(
            env.text("PACS_ALARM_MAIL_TO", "", "Who gets alarms by mail, by comma; empty: nobody.")
        ),
        alarm_mail_from=env.text(
            "PACS_ALARM_MAIL_FROM", "argens@localhost", "The sender of mails."
        ),
        alarm_webhook=_webhook(
            env.text("PACS_ALARM_WEBHOOK", "", "Address to which alarms are posted as JSON.")
        ),
        alarm_webhook_secret=env.text(
            "PACS_ALARM_WEBHOOK_SECRET",
            "",
            "Key of the HMAC-SHA256 in X-Argens-Signature of what is posted; empty: unsigned.",
        ),
        smtp_host=env.text("PACS_SMTP_HOST", "localhost", "The mail server."),
        smtp_port=env.integer(
            "PACS_SMTP_PORT", 25, "The port of the mail server.", low=1, high=65535
        ),
        smtp_user=env.text("PACS_SMTP_USER", "", "Login at the mail server; empty: none."),
        smtp_password=env.text("PACS_SMTP_PASSWORD", "", "Password at the mail server."),
        smtp_tls=_tls(
            env.text("PACS_SMTP_TLS", "none", "TLS with the mail server: none, starttls or tls.")
        ),
    )


def _addresses(text: str) -> tuple[str, ...]:
    found = tuple(filter(None, (part.strip() for part in text.split(","))))
    for address in found:
        if "@" not in address or not address.isprintable() or " " in address:
            raise SettingError("PACS_ALARM_MAIL_TO", f"{address!r} is no mail address")
    return found


def _webhook(text: str) -> str:
    if text and (urlsplit(text).scheme not in {"http", "https"} or not urlsplit(text).hostname):
        raise SettingError("PACS_ALARM_WEBHOOK", f"{text!r} is no http(s) address")
    return text


def _tls(text: str) -> str:
    if text not in _TLS:
        raise SettingError("PACS_SMTP_TLS", f"{text!r} is none of {', '.join(_TLS)}")
    return text
