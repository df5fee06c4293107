"""A Postgres server that tests start, break and stop."""

import contextlib
import signal
from pathlib import Path

import psycopg2

from deploy.migration_check import postgres
from tests.support.integration.servers import Server


class Postgres(Server):
    """A cluster in a temporary folder that listens on TCP; the superuser needs no password."""

    def __init__(self, folder: Path, programs: Path) -> None:
        super().__init__(folder)
        self.bin, self.data = programs, folder / "data"
        self.identity = postgres.server_user()
        postgres.initialize_cluster(programs, folder)
        rules = self.data / "pg_hba.conf"
        rules.write_text(f"host all +needs_password all scram-sha-256\n{rules.read_text()}")

    def command(self) -> list[str]:
        """Return the command line."""
        settings = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        settings |= {"shared_buffers": "32MB", "max_connections": 100, "jit": "off"}
        pairs = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self.bin / "postgres"), "-D", str(self.data), *pairs]

    def url(self, database: str = "postgres") -> str:
        """Return the superuser's URL."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def is_ready(self) -> bool:
        """Whether it accepts queries."""
        return self.sql("SELECT 1") == [(1,)]

    def sql(self, statement: str, *values: object, database: str = "postgres") -> list[tuple]:
        """Run a statement outside any transaction and return its rows."""
        with contextlib.closing(psycopg2.connect(self.url(database), connect_timeout=3)) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def stop(self, number: int = signal.SIGINT, seconds: float = 15) -> int:
        """Stop it like `pg_ctl stop`: it closes connections and loses nothing."""
        return super().stop(number, seconds)

    def kill(self) -> None:
        """Stop it like a crash, but let it release its shared memory."""
        self.stop(signal.SIGQUIT)
