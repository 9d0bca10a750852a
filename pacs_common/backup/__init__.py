"""Backups of a role: its database, its journal and its secrets, in a folder that is whole or not
there at all; and the way back. What is in one is docs/backup.md.
"""
