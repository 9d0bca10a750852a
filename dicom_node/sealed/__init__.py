"""The sealed emergency account: its envelope, its lock-out, its sessions. Files, no database."""
