"""Alarms by mail and webhook, to servers on real sockets: each told until it took it."""

from __future__ import annotations

import email
import hashlib
import hmac
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email import policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.utils import timezone

from archive_node import alarms
from archive_node.models import Alarm


class MailServer(socketserver.ThreadingTCPServer):
    """Takes mail (RFC 5321, as much as a client needs) while `takes` is true."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.takes = True
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []


class _Session(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self._say("220 a mail server")
        while line := self.rfile.readline().decode().strip():
            verb = line[:4].upper()
            if verb == "DATA":
                self._take()
            elif verb == "RCPT":
                self.server.recipients.append(line.partition(":")[2].strip(" <>"))
                self._say("250 OK")
            else:
                self._say("221 bye" if verb == "QUIT" else "250 OK")

    def _take(self) -> None:
        if not self.server.takes:
            self._say("451 later")
            return
        self._say("354 go on")
        lines = iter(self.rfile.readline, b".\r\n")
        told = email.message_from_bytes(b"".join(lines), policy=policy.default)
        self.server.mails.append(told)
        self._say("250 taken")

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


class WebhookServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Hook)
        self.status = 204
        self.posts: list[tuple[str, dict[str, str], bytes]] = []


class _Hook(BaseHTTPRequestHandler):
    server: WebhookServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.status < 300:
            self.server.posts.append((self.path, dict(self.headers), body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def served(server: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def mail(archive, settings, db) -> Iterator[MailServer]:
    with served(MailServer()) as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = server.server_address
        archive(alarm_mail_to=("it@hospital.example", "boss@hospital.example"))
        yield server


@pytest.fixture
def hook(archive, db) -> Iterator[WebhookServer]:
    with served(WebhookServer()) as server:
        address = f"http://127.0.0.1:{server.server_port}/hooks/7?token=x"
        archive(alarm_webhook=address, alarm_webhook_secret="a secret")
        yield server


def subjects(server: MailServer) -> list[str]:
    return [str(one["Subject"]) for one in server.mails]


def events(server: WebhookServer) -> list[tuple[str, str]]:
    told = [json.loads(body) for _, _, body in server.posts]
    return [(one["event"], one["alarm"]["subject"]) for one in told]


def test_a_mail_tells_of_beginning_and_end_once_each(mail):
    alarms.raise_alarm("disk-filling", "CT", "critical", "CT is full soon")
    for _ in range(2):
        alarms.tell_all()
    alarms.end_alarm("disk-filling", "CT")
    for _ in range(2):
        alarms.tell_all()
    assert subjects(mail) == [
        "[Argens] critical: disk-filling CT",
        "[Argens] ended: disk-filling CT",
    ]
    assert mail.recipients[:2] == ["it@hospital.example", "boss@hospital.example"]
    assert mail.mails[0]["From"] == "argens@localhost"
    assert "CT is full soon" in mail.mails[0].get_content()


def test_what_began_together_is_one_mail(mail):
    alarms.raise_alarm("disk-filling", "CT", "critical", "full")
    alarms.raise_alarm("vault-missing", "vault-2", "warning", "gone")
    alarms.tell_all()
    assert subjects(mail) == ["[Argens] 2 alarms began or ended, 1 critical"]
    assert "full" in mail.mails[0].get_content() and "gone" in mail.mails[0].get_content()


def test_a_mail_that_was_not_taken_is_sent_again(mail, settings):
    alarms.raise_alarm("disk-filling", "CT", "critical", "full")
    mail.takes = False
    alarms.tell_all()
    port, settings.EMAIL_PORT = settings.EMAIL_PORT, 1
    alarms.tell_all()
    settings.EMAIL_PORT = port
    mail.takes = True
    alarms.tell_all()
    assert len(mail.mails) == 1


def test_a_webhook_is_told_of_beginning_and_end_once_each_and_signed(hook):
    alarms.raise_alarm("volume-suspect", "A00001", "warning", "it does not read")
    alarms.tell_all()
    alarms.tell_all()
    alarms.end_alarm("volume-suspect", "A00001")
    alarms.tell_all()
    alarms.tell_all()
    assert events(hook) == [("began", "A00001"), ("ended", "A00001")]
    path, headers, body = hook.posts[0]
    assert path == "/hooks/7?token=x"
    assert headers["Content-Type"] == "application/json"
    signature = hmac.new(b"a secret", body, hashlib.sha256).hexdigest()
    assert headers["X-Argens-Signature"] == f"sha256={signature}"
    assert set(json.loads(body)["alarm"]) == {
        "id", "kind", "subject", "level", "text", "began_at", "seen_at", "ended_at",
        "acknowledged_at", "acknowledged_by",
    }  # fmt: skip


def test_a_webhook_without_a_secret_is_not_signed(hook, archive):
    archive(alarm_webhook_secret="")
    alarms.raise_alarm("volume-suspect", "A00001", "warning", "x")
    alarms.tell_all()
    assert "X-Argens-Signature" not in hook.posts[0][1]


def test_what_a_webhook_refused_is_told_again_in_order(hook):
    hook.status = 500
    for label in ("A00001", "A00002"):
        alarms.raise_alarm("volume-suspect", label, "warning", "x")
    alarms.tell_all()
    assert Alarm.objects.filter(posted_at=None).count() == 2
    hook.status = 204
    alarms.tell_all()
    assert events(hook) == [("began", "A00001"), ("began", "A00002")]


def test_mail_and_webhook_do_not_wait_for_each_other(mail, hook):
    mail.takes = False
    alarms.raise_alarm("disk-filling", "CT", "critical", "full")
    alarms.tell_all()
    mail.takes = True
    alarms.tell_all()
    assert len(mail.mails) == 1 and len(hook.posts) == 1


def test_one_that_became_critical_is_told_once_more(mail):
    alarms.raise_alarm("disk-filling", "CT", "warning", "fills")
    alarms.tell_all()
    alarms.raise_alarm("disk-filling", "CT", "critical", "full")
    alarms.tell_all()
    alarms.tell_all()
    assert subjects(mail) == [
        "[Argens] warning: disk-filling CT", "[Argens] critical: disk-filling CT",
    ]  # fmt: skip


def test_who_is_named_later_is_not_told_of_what_was_over_long_ago(mail):
    alarms.raise_alarm("disk-filling", "CT", "warning", "fills")
    alarms.end_alarm("disk-filling", "CT")
    alarms.raise_alarm("disk-filling", "RF", "warning", "fills")
    Alarm.objects.filter(subject="CT").update(ended_at=timezone.now() - timedelta(days=2))
    alarms.tell_all()
    assert subjects(mail) == ["[Argens] warning: disk-filling RF"]


def test_where_nobody_is_named_nobody_is_told(archive, db):
    archive(alarm_mail_to=(), alarm_webhook="")
    alarms.raise_alarm("disk-filling", "CT", "critical", "full")
    alarms.tell_all()
    row = Alarm.objects.get()
    assert (row.mailed_at, row.posted_at) == (None, None)
