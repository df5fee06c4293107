"""The build writes the application's static files for nginx, under the same names, in each useful encoding."""

import gzip
import importlib.util
import os
import shutil
import subprocess
import sys
import zlib
from types import SimpleNamespace

import pytest

from app.http.static_files import StaticFiles
from tests.support.helpers import ROOT

specification = importlib.util.spec_from_file_location("build_static", ROOT / "scripts/build_static.py")
build_static = importlib.util.module_from_spec(specification)
specification.loader.exec_module(build_static)

NOISE = os.urandom(3000)  # incompressible
TEXT = b"b { color: red; }\n" * 50
FORMS = {"gzip": lambda data: gzip.compress(data, 9, mtime=0), "zstd": zlib.compress}


@pytest.fixture
def source(tmp_path):
    """A folder of static files."""
    for name, data in {"docs.css": TEXT, "img/logo.v2.png": NOISE, "LICENSE": TEXT, "empty": b""}.items():
        (tmp_path / "from" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "from" / name).write_bytes(data)
    return tmp_path / "from"


@pytest.fixture
def built(tmp_path, source):
    """The output folder."""
    build_static.build(source, tmp_path / "to", FORMS)
    return tmp_path / "to"


def files(folder):
    """Return the content of each file in a folder, by relative path."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_identity(source, built):
    """Each file is copied under the name that the application uses."""
    names = StaticFiles(str(source))
    assert files(built / "identity") == {
        f"static/{names.hashed_name(name)}": data for name, data in files(source).items()
    }


@pytest.mark.parametrize(("encoding", "decompress"), [("gzip", gzip.decompress), ("zstd", zlib.decompress)])
def test_compressed(built, encoding, decompress):
    """A compressed file has the same name; incompressible files have no compressed copy."""
    found = {name: decompress(data) for name, data in files(built / encoding).items()}
    assert found == {name: data for name, data in files(built / "identity").items() if data == TEXT}


@pytest.mark.parametrize(("size", "is_written"), [(94, True), (95, True), (96, False), (100, False), (120, False)])
def test_ratio(size, is_written):
    """A compressed file that saves less than a twentieth is dropped."""
    assert ("gzip" in build_static.encode(b"a" * 100, {"gzip": lambda _: b"b" * size})) == is_written


def test_reproducible(tmp_path, source, built):
    """The same input produces the same bytes, so clients and registries reuse unchanged files."""
    for path in source.rglob("*"):
        os.utime(path, (1, 1))
    build_static.build(source, tmp_path / "again", FORMS)
    assert files(tmp_path / "again") == files(built)


def test_no_files(tmp_path):
    """Without input files the folders are created empty."""
    (tmp_path / "from").mkdir()
    assert build_static.build(tmp_path / "from", tmp_path / "to", FORMS) == {"identity": 0, "gzip": 0, "zstd": 0}
    assert {path.name for path in (tmp_path / "to").iterdir()} == {"identity", "gzip", "zstd"}


def test_command(source, tmp_path, monkeypatch, capsys):
    """The command prints the number of files for each encoding."""
    monkeypatch.setattr(build_static, "compressors", lambda: FORMS)
    monkeypatch.setattr(sys, "argv", ["build_static.py", str(source), str(tmp_path / "to")])
    build_static.main()
    assert capsys.readouterr().out == "identity: 4 files\ngzip: 2 files\nzstd: 2 files\n"


def test_missing_folder(tmp_path, monkeypatch, capsys):
    """A missing input folder is an error."""
    monkeypatch.setattr(sys, "argv", ["build_static.py", str(tmp_path / "gone"), str(tmp_path / "to")])
    with pytest.raises(SystemExit):
        build_static.main()
    assert "gone is not a folder" in capsys.readouterr().err
    assert not (tmp_path / "to").exists()


def test_without_zstd(monkeypatch):
    """Without zstd the script exits with the remedy."""
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    with pytest.raises(SystemExit, match=r"Python 3\.14 or newer"):
        build_static.compressors()


def test_compressors(monkeypatch):
    """Gzip uses its highest level without a timestamp, zstd the highest level that all clients support."""
    zstd = SimpleNamespace(compress=lambda data, level: (data, level))
    monkeypatch.setitem(sys.modules, "compression.zstd", zstd)
    found = {name: compress(TEXT) for name, compress in build_static.compressors().items()}
    assert found == {"gzip": gzip.compress(TEXT, 9, mtime=0), "zstd": (TEXT, 19)}


def test_image():
    """A stage of the Dockerfile with only the required code builds the files for the bundle."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (stage,) = [part for part in text.split("\nFROM ") if part.startswith("build AS static")]
    copied = [line.split()[1] for line in stage.splitlines() if line.startswith("COPY")]
    assert copied == ["scripts/build_static.py", "app/http/static_files.py", "app/static"]
    assert "COPY --from=static /static bundle/static" in text


def test_required_code(tmp_path):
    """The script needs only that code."""
    for name in ("scripts/build_static.py", "app/http/static_files.py", "app/static/docs.css"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    command = [sys.executable, "scripts/build_static.py", "app/static", "made"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0 or "Python 3.14 or newer" in done.stderr, done.stderr
