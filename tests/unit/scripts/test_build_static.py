"""What nginx serves is made of what the application has: the same names, and each form that is worth it."""

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

NOISE = os.urandom(3000)  # gets no smaller
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
def made(tmp_path, source):
    """The folder in which the forms of them lie."""
    build_static.build(source, tmp_path / "to", FORMS)
    return tmp_path / "to"


def files(folder):
    """Return what each file in a folder holds, by its name in it."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_as_it_is(source, made):
    """Each file lies there as it is, by the name under which the application asks for it."""
    names = StaticFiles(str(source))
    assert files(made / "identity") == {
        f"static/{names.hashed_name(name)}": data for name, data in files(source).items()
    }


@pytest.mark.parametrize(("encoding", "unpack"), [("gzip", gzip.decompress), ("zstd", zlib.decompress)])
def test_compressed(made, encoding, unpack):
    """A compressed form has the name of the file that it unpacks to; what got no smaller has none."""
    found = {name: unpack(data) for name, data in files(made / encoding).items()}
    assert found == {name: data for name, data in files(made / "identity").items() if data == TEXT}


@pytest.mark.parametrize(("size", "kept"), [(94, True), (95, True), (96, False), (100, False), (120, False)])
def test_worth_it(size, kept):
    """A form that saves less than a twentieth is not kept."""
    assert ("gzip" in build_static.forms(b"a" * 100, {"gzip": lambda _: b"b" * size})) == kept


def test_same_again(tmp_path, source, made):
    """The same files make the same bytes: nothing is new for a client, or for a registry, that was not changed."""
    for path in source.rglob("*"):
        os.utime(path, (1, 1))
    build_static.build(source, tmp_path / "again", FORMS)
    assert files(tmp_path / "again") == files(made)


def test_nothing(tmp_path):
    """Of no files empty folders are made, for an image to have."""
    (tmp_path / "from").mkdir()
    assert build_static.build(tmp_path / "from", tmp_path / "to", FORMS) == {"identity": 0, "gzip": 0, "zstd": 0}
    assert {path.name for path in (tmp_path / "to").iterdir()} == {"identity", "gzip", "zstd"}


def test_command(source, tmp_path, monkeypatch, capsys):
    """The command says how many files of each form were made."""
    monkeypatch.setattr(build_static, "compressors", lambda: FORMS)
    monkeypatch.setattr(sys, "argv", ["build_static.py", str(source), str(tmp_path / "to")])
    build_static.main()
    assert capsys.readouterr().out == "identity: 4 files\ngzip: 2 files\nzstd: 2 files\n"


def test_no_folder(tmp_path, monkeypatch, capsys):
    """A folder that is not there is an error, or an image would be built without its static files."""
    monkeypatch.setattr(sys, "argv", ["build_static.py", str(tmp_path / "gone"), str(tmp_path / "to")])
    with pytest.raises(SystemExit):
        build_static.main()
    assert "gone is no folder" in capsys.readouterr().err
    assert not (tmp_path / "to").exists()


def test_without_zstd(monkeypatch):
    """A Python that has no zstd is told apart, with the remedy."""
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    with pytest.raises(SystemExit, match=r"Python 3\.14 or newer"):
        build_static.compressors()


def test_compressors(monkeypatch):
    """Both compress as far as any client can follow; gzip without a time, which would make each build another one."""
    zstd = SimpleNamespace(compress=lambda data, level: (data, level))
    monkeypatch.setitem(sys.modules, "compression.zstd", zstd)
    made = {name: compress(TEXT) for name, compress in build_static.compressors().items()}
    assert made == {"gzip": gzip.compress(TEXT, 9, mtime=0), "zstd": (TEXT, 19)}


def test_image():
    """The image's bundle has them, made by a stage in which no other code lies."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (stage,) = [part for part in text.split("\nFROM ") if part.startswith("build AS static")]
    copied = [line.split()[1] for line in stage.splitlines() if line.startswith("COPY")]
    assert copied == ["scripts/build_static.py", "app/http/static_files.py", "app/static"]
    assert "COPY --from=static /static bundle/static" in text


def test_alone(tmp_path):
    """That code is all that the script needs."""
    for name in ("scripts/build_static.py", "app/http/static_files.py", "app/static/docs.css"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    command = [sys.executable, "scripts/build_static.py", "app/static", "made"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0 or "Python 3.14 or newer" in done.stderr, done.stderr
