"""Let gixy read nginx/ as Nginx does: with the templates filled in by the settings' defaults."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
ACTIVE_COLOUR = 'map $host $active_upstream {\n    default "web-blue";\n}\n'
TYPES = "types {\n    text/html html;\n}\n"


def main() -> int:
    """Fill in, look at production's edge and at development's; 1 if gixy finds something."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(ROOT / "nginx", folder, dirs_exist_ok=True)
        fill_in(folder, settings())
        lead_to(folder)
        # The header is there; for a day at first, on purpose.
        found = [gixy(folder / "production.conf", "--skips", "hsts_header"), gixy(folder / "nginx.conf")]
    return 1 if any(found) else 0


def settings(**given: str) -> dict[str, str]:
    """Return what start/10-settings.envsh makes of these settings; raises CalledProcessError on one that is no good."""
    script = ROOT / "nginx/start/10-settings.envsh"
    done = subprocess.run(
        ["sh", "-euc", '. "$0"; env -0', str(script)],
        env={"PATH": os.environ["PATH"], **given},
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    pairs = (pair.partition("=") for pair in done.stdout.split("\0"))
    return {name: value for name, _, value in pairs if name.startswith("EDGE_")}


def fill_in(folder: Path, values: dict[str, str]) -> None:
    """Make the files of templates/settings, as Nginx's image does."""
    (folder / "settings").mkdir()
    for template in (folder / "templates/settings").iterdir():
        text = re.sub(r"\$\{(EDGE_\w+)\}", lambda found: values[found[1]], template.read_text())
        (folder / "settings" / template.name.removesuffix(".template")).write_text(text)


def lead_to(folder: Path) -> None:
    """Let the includes lead to what is here, and not to where it is in the container."""
    (folder / "settings/active-colour.conf").write_text(ACTIVE_COLOUR)
    (folder / "settings/mime.types").write_text(TYPES)
    places = {"/tmp/settings/": "", "/etc/nginx/traffic/": "", "/etc/nginx/mime": "mime"}  # noqa: S108 - the container's
    for path in folder.rglob("*.conf"):
        text = path.read_text()
        for there, here in places.items():
            text = text.replace(f"include {there}", f"include {folder}/settings/{here}")
        path.write_text(text)


def gixy(path: Path, *options: str) -> int:
    """Let gixy look at a configuration; options say what is left out."""
    return subprocess.run([".venv/bin/gixy", *options, str(path)], cwd=ROOT, timeout=60, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
