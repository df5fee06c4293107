"""Runs gixy on both nginx configurations, with the templates rendered from the default settings."""

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
    """Return 1 if gixy reports a problem in production or development."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(ROOT / "nginx", folder, dirs_exist_ok=True)
        render(folder, settings())
        redirect_includes(folder)
        # HSTS is there, deliberately for a day only.
        found = [gixy(folder / "production.conf", "--skips", "hsts_header"), gixy(folder / "nginx.conf")]
    return 1 if any(found) else 0


def settings(**given: str) -> dict[str, str]:
    """Return what start/10-settings.envsh exports for these settings; raises CalledProcessError on an invalid one."""
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


def render(folder: Path, values: dict[str, str]) -> None:
    """Render templates/settings, as the nginx image does."""
    (folder / "settings").mkdir()
    for template in (folder / "templates/settings").iterdir():
        text = re.sub(r"\$\{(EDGE_\w+)\}", lambda found: values[found[1]], template.read_text())
        (folder / "settings" / template.name.removesuffix(".template")).write_text(text)


def redirect_includes(folder: Path) -> None:
    """Point the includes at this folder instead of the container's paths."""
    (folder / "settings/active-colour.conf").write_text(ACTIVE_COLOUR)
    (folder / "settings/mime.types").write_text(TYPES)
    places = {"/tmp/settings/": "", "/etc/nginx/traffic/": "", "/etc/nginx/mime": "mime"}  # noqa: S108 - paths in the container
    for path in folder.rglob("*.conf"):
        text = path.read_text()
        for container_path, local_path in places.items():
            text = text.replace(f"include {container_path}", f"include {folder}/settings/{local_path}")
        path.write_text(text)


def gixy(path: Path, *options: str) -> int:
    """Run gixy on a configuration and return its exit code."""
    return subprocess.run([".venv/bin/gixy", *options, str(path)], cwd=ROOT, timeout=60, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
