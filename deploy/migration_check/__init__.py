"""What `check_migrations.py` is made of: a migration must not take away what the release before it still uses."""
