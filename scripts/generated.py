"""Writes a generated page of docs, or compares it: shared by the scripts that generate one."""

import argparse
import sys
from pathlib import Path


def write_or_check(page: Path, text: str, description: str | None) -> int:
    """Write TEXT to PAGE; with --check on the command line return 1, and print the remedy, if PAGE differs."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--check", action="store_true", help="compare with the page, do not write it")
    if not parser.parse_args().check:
        page.write_text(text, encoding="utf-8")
        return 0
    current = page.read_text(encoding="utf-8") if page.exists() else ""
    if current == text:
        return 0
    for line in set(current.splitlines()) - set(text.splitlines()):
        print(f"{page.name}: no longer generated: {line}", file=sys.stderr)
    print(f"{page.name} is out of date. Run: .venv/bin/python {Path(sys.argv[0])}", file=sys.stderr)
    return 1
