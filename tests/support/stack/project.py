"""Copies the project, adding files that must stay out of the image."""

import shutil

from tests.support.helpers import ROOT

IGNORED = shutil.ignore_patterns(".git", ".venv", ".*_cache", "__pycache__", "instance", ".env")
CANARY = "canary-5ac1e0d7f3"
CANARIES = (".env.production", "backups/x.dump", "certbot/privkey.pem", "app/.env", "app/__pycache__/secret.pyc")


def copy(folder):
    """Copy the project into FOLDER and add the canaries."""
    shutil.copytree(ROOT, folder, ignore=IGNORED)
    for name in CANARIES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"CANARY={CANARY}\n")
