"""The schema can be created, compared with the models and reverted, on both databases."""

import itertools

import pytest
from sqlalchemy import create_engine, inspect, text

from app import create_app
from app.observability import probes
from tests.integration.conftest import dispose

CONSTRAINTS = {
    "products": {
        "pk_products",
        "uq_products_sku",
        "ck_products_price_not_negative",
        "ck_products_currency_code",
        "ck_products_sku_not_empty",
        "ck_products_name_not_empty",
    },
    "api_tokens": {"pk_api_tokens", "uq_api_tokens_name", "uq_api_tokens_hash"},
    "idempotency_keys": {"pk_idempotency_keys", "fk_idempotency_keys_token_id_api_tokens"},
    "applied_migrations": {"pk_applied_migrations"},
}
INDEXES = {
    "ix_products_name_id": ["name", "id"],
    "ix_products_price_id": ["price", "id"],
    "ix_products_created_at_id": ["created_at", "id"],
    "ix_products_currency_price_id": ["currency", "price", "id"],
}
names = itertools.count(1)


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request, folder):
    """An empty database."""
    name = f"empty_{next(names)}"
    if request.param == "sqlite":
        return f"sqlite:///{folder / name}.db"
    server = request.getfixturevalue("postgres")
    server.sql(f"CREATE DATABASE {name}")
    return server.url(name)


@pytest.fixture
def bare(empty_url):
    """An application on the empty database."""
    app = create_app("testing", {"TEST_DATABASE_URL": empty_url})
    yield app
    dispose(app)


@pytest.fixture
def flask_db(bare):
    """Run `flask db` and return its output."""

    def run(*arguments):
        done = bare.test_cli_runner().invoke(args=["db", *arguments])
        assert done.exit_code == 0, done.output
        return done.output

    return run


@pytest.fixture
def inspect_schema(bare):
    """Inspect the database on a separate connection."""
    engine = create_engine(bare.config["SQLALCHEMY_DATABASE_URI"])
    yield lambda: inspect(engine)
    engine.dispose()


@pytest.fixture
def run_sql(bare):
    """Run a statement on a separate connection."""
    engine = create_engine(bare.config["SQLALCHEMY_DATABASE_URI"])

    def run(statement):
        with engine.begin() as connection:
            connection.execute(text(statement))

    yield run
    engine.dispose()


def apply_newer(run_sql):
    """Apply a migration of a newer release."""
    run_sql("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    run_sql("INSERT INTO applied_migrations (revision, contract) VALUES ('ffffffffffff', false)")


def constraints(schema, table):
    """Return the constraint names; SQLite has none for the key of a table with AUTOINCREMENT."""
    key = schema.get_pk_constraint(table)
    nameless = schema.dialect.name == "sqlite" and key["constrained_columns"] == ["id"]
    found = [*schema.get_unique_constraints(table), *schema.get_check_constraints(table)]
    found += schema.get_foreign_keys(table)
    return {f"pk_{table}" if nameless else key["name"], *(constraint["name"] for constraint in found)}


def test_upgrade_downgrade_and_upgrade(flask_db, inspect_schema):
    """All migrations can be applied, reverted, and applied again."""
    flask_db("upgrade")
    assert set(inspect_schema().get_table_names()) >= set(CONSTRAINTS)
    flask_db("downgrade", "base")
    assert set(inspect_schema().get_table_names()) <= {"alembic_version", "sqlite_sequence"}
    flask_db("upgrade")
    assert set(inspect_schema().get_table_names()) >= set(CONSTRAINTS)


def test_models_and_migrations_agree(bare, flask_db, run_sql):
    """`flask db check` finds no difference between models and migrations, and detects one that the test adds."""
    flask_db("upgrade")
    flask_db("check")
    run_sql("DROP INDEX ix_products_name_id")
    assert bare.test_cli_runner().invoke(args=["db", "check"]).exit_code == 1


def test_every_constraint_is_named(flask_db, inspect_schema):
    """Each constraint has a name, so that a later migration can drop it."""
    flask_db("upgrade")
    assert {table: constraints(inspect_schema(), table) for table in CONSTRAINTS} == CONSTRAINTS


def test_every_sort_order_has_an_index(flask_db, inspect_schema):
    """Each sort order has an index that ends with the id, and the word filter has one on Postgres."""
    flask_db("upgrade")
    found = {index["name"]: index["column_names"] for index in inspect_schema().get_indexes("products")}
    assert {name: found[name] for name in INDEXES} == INDEXES
    assert ("ix_products_search" in found) == (inspect_schema().dialect.name == "postgresql")
    assert "ix_idempotency_keys_expires_at" in {
        index["name"] for index in inspect_schema().get_indexes("idempotency_keys")
    }


@pytest.mark.guarantee("A release is not ready on an older schema, and stays ready on a newer one")
def test_older_schema_is_not_ready(bare, flask_db):
    """With a missing migration, readiness returns 503 and names the failed check."""
    flask_db("upgrade")
    flask_db("downgrade", "8e42f3b6c015")
    response = bare.test_client().get("/health/ready")
    assert (response.status_code, response.json["status"]) == (503, "unavailable")
    assert response.json["checks"] == {"database": "connected", "migrations": "unavailable"}


def test_empty_database_is_not_ready(bare):
    """Without migrations, readiness returns 503."""
    assert bare.test_client().get("/health/ready").status_code == 503


def test_current_schema_is_ready(bare, flask_db):
    """With every migration applied, the application is ready."""
    flask_db("upgrade")
    response = bare.test_client().get("/health/ready")
    assert (response.status_code, response.json["checks"]["migrations"]) == (200, "current")


@pytest.mark.guarantee("A release is not ready on an older schema, and stays ready on a newer one")
def test_newer_schema_is_ready(bare, flask_db, run_sql):
    """With an additional migration of a newer release, the application stays ready."""
    flask_db("upgrade")
    apply_newer(run_sql)
    response = bare.test_client().get("/health/ready")
    assert (response.status_code, response.json["checks"]["migrations"]) == (200, "ahead")
    with bare.app_context():
        assert probes.check_readiness(bare).is_ready


def test_upgrading_a_newer_schema_does_nothing(bare, flask_db, run_sql, inspect_schema):
    """`flask db upgrade` on a schema that is ahead reports that, changes nothing and succeeds."""
    flask_db("upgrade")
    apply_newer(run_sql)
    assert "ahead of this release, which does not know ffffffffffff: nothing to do" in flask_db("upgrade")
    with inspect_schema().bind.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "ffffffffffff"
    assert bare.test_cli_runner().invoke(args=["db", "downgrade"]).exit_code == 1
