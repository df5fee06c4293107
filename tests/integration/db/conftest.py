"""The migration check on a schema that is reset for each check, in this process."""

import contextlib
import io
from functools import partial

import pytest
from alembic import command
from sqlalchemy import make_url

from app import create_app
from deploy.migration_check.check import check
from deploy.migration_check.roles import create_roles
from tests.integration.conftest import names
from tests.support.helpers import ROOT
from tests.support.integration.migration_folder import extended

ROLES = ROOT / "deploy/postgres/roles.sh"


class MigrationChecker:
    """Checks one migration at a time, after those of the project and one that prepares the schema."""

    def __init__(self, server, prepare, new_folder):
        self.server, self.prepare, self.new_folder = server, prepare, new_folder
        self.database = f"check_{next(names)}"
        server.sql(f"CREATE DATABASE {self.database}")
        self.url = create_roles(server.url(self.database), ROLES)
        self.app = create_app("testing", {"TEST_DATABASE_URL": self.url})
        with contextlib.redirect_stdout(io.StringIO()) as script:
            self._run(extended(new_folder("prepared"), prepare), partial(command.upgrade, revision="head", sql=True))
        self.script = f"SET ROLE {make_url(self.url).username}; {script.getvalue()}"

    def __call__(self, body, *, contract=False):
        """Return the report on a migration with this body."""
        self._reset()
        folder = extended(self.new_folder("check"), self.prepare, body, contract=contract)
        return self._run(folder, partial(check, url=self.url, ignored_tables={"applied_migrations"}))

    def _reset(self):
        """Recreate the prepared schema: much faster than a database for each check, whose 300 files take long."""
        self.server.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public", database=self.database)
        create_roles(self.server.url(self.database), ROLES)
        self.server.sql(self.script, database=self.database)

    def _run(self, folder, action):
        with self.app.app_context():
            return action(self.app.extensions["migrate"].migrate.get_config(str(folder)))


@pytest.fixture(scope="module")
def migration_checker(postgres, tmp_path_factory):
    """Return a function that prepares a schema and returns its MigrationChecker."""
    return lambda prepare: MigrationChecker(postgres, prepare, tmp_path_factory.mktemp)
