"""The database's data: backups, restore, major upgrade."""
