#!/usr/bin/env python
"""One entry for the roles: `manage.py node|archive|web COMMAND` (`portal` is `web`, default)."""

import os
import sys

SETTINGS = {
    "node": "dicom_node.settings",
    "archive": "archive_node.settings",
    "portal": "pacs_web.settings",
    "web": "pacs_web.settings",  # the same
}


def main(argv: list[str]) -> None:
    """Pick the role's settings by the first word and hand the rest to Django."""
    role = argv[1] if len(argv) > 1 and argv[1] in SETTINGS else None
    os.environ["DJANGO_SETTINGS_MODULE"] = SETTINGS[role or "web"]
    from django.core.management import execute_from_command_line

    from pacs_common.env import SettingError

    try:
        execute_from_command_line([argv[0], *argv[2 if role else 1 :]])
    except SettingError as error:
        print(error.message, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main(sys.argv)
