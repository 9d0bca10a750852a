"""`manage.py node rescue-account`: the sealed account of the node's rescue page."""

import argparse

from django.core.management.base import BaseCommand, CommandError

from dicom_node.config import CONFIG
from dicom_node.sealed import account
from dicom_node.store.layout import Layout
from pacs_common.errors import ArgensError


class Command(BaseCommand):
    help = (
        "Make the sealed emergency account of this node, for when the portal is down. Its "
        "passphrase is printed once: put it into an envelope, and seal that."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare what to do with an account that is there."""
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "--reseal", action="store_true", help="make a new passphrase; the old one is void"
        )
        what.add_argument("--remove", action="store_true", help="take the account away")
        what.add_argument("--state", action="store_true", help="tell whether the seal is whole")

    def handle(self, **options: bool) -> None:
        """Do it, or say in one line why not."""
        layout = Layout(CONFIG.data_dir)
        try:
            if options["state"]:
                self.stdout.write(_state(account.seal(layout)))
            elif options["remove"]:
                account.remove(layout)
                self.stdout.write("the emergency account is gone, and its page with it")
            else:
                self._make(layout, reseal=options["reseal"])
        except (ArgensError, OSError) as error:
            raise CommandError(str(error)) from None

    def _make(self, layout: Layout, *, reseal: bool) -> None:
        passphrase = account.make(layout, reseal=reseal)
        self.stdout.write(
            f"Emergency access to node {CONFIG.name}, page /rescue/ of its HTTP port:\n\n"
            f"    {passphrase}\n\n"
            "It is not shown again. Print it, put it into an envelope, seal it."
        )


def _state(seal: account.Seal | None) -> str:
    if seal is None:
        return "there is no emergency account here"
    if seal.is_broken:
        return f"made at {seal.made_at}; the seal was broken at {seal.opened_at}: --reseal"
    return f"made at {seal.made_at}; the seal is whole"
