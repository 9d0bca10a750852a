"""`manage.py node dicom-user add|remove|list`: users of associations (PS3.7 D.3.3.7)."""

import argparse
import getpass
import sys

from django.core.management.base import BaseCommand, CommandError

from dicom_node.config import CONFIG
from dicom_node.peers import book
from dicom_node.peers.identity import MAX_NAME, hashed
from pacs_common.errors import ArgensError

LEAST_CHARACTERS = 8


class Command(BaseCommand):
    help = "Keep the users that associations may name, with their hashed passcodes."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare what to do, and with whom."""
        parser.add_argument("what", choices=["add", "remove", "list"])
        parser.add_argument("name", nargs="?", default="")
        kind = parser.add_mutually_exclusive_group()
        kind.add_argument("--stdin", action="store_true", help="read the passcode from stdin")
        kind.add_argument("--no-passcode", action="store_true", help="believe the name alone")

    def handle(self, what: str, name: str, **options: bool) -> None:
        """Do it, or say in one line why not."""
        if what != "list" and not (0 < len(name) <= MAX_NAME and name.isprintable()):
            raise CommandError(f"a name has 1 to {MAX_NAME} characters")
        try:
            if what == "add":
                passcode = "" if options["no_passcode"] else _passcode(options["stdin"])
                book.put_user(name, hashed(passcode) if passcode else "")
            elif what == "remove":
                book.remove_user(name)
            else:
                for known in sorted(book.read_users(CONFIG.identity.users_file)):
                    self.stdout.write(known)
        except ArgensError as error:
            raise CommandError(str(error)) from None


def _passcode(from_stdin: bool) -> str:
    typed = sys.stdin.readline().rstrip("\n") if from_stdin else getpass.getpass("Passcode: ")
    if len(typed) < LEAST_CHARACTERS:
        raise CommandError(f"a passcode has at least {LEAST_CHARACTERS} characters")
    return typed
