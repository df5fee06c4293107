"""Migrations of a million rows under load: no failed request, short waits, no lost write."""

import itertools
import secrets
import shutil
import statistics
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from tests.support.helpers import ROOT, wait_for
from tests.support.stack.broken import HEAD
from tests.support.stack.load import JSON, Load, Request
from tests.support.stack.server import HOST

ROWS = 1_000_000
MAX_P99_S = 1.0
MIN_REQUESTS = 500  # for a meaningful p99
pytestmark = pytest.mark.timeout(600)

MODULE = '''"""{title}."""

import sqlalchemy as sa
from alembic import op

from app.db.backfill import update_in_batches

revision, down_revision = "{revision}", "{before}"
branch_labels = depends_on = None


def upgrade():
    """{title}."""
    {body}
'''
BLOCK = "with op.get_context().autocommit_block():\n        "
CHECK = "ADD CONSTRAINT ck_products_stock_not_negative CHECK (stock >= 0) NOT VALID"
# Typical changes of a table, as real releases make them.
BODIES = {
    "Add a nullable column, a column with a default, and a NOT VALID check": (
        'op.add_column("products", sa.Column("colour", sa.Text()))\n    '
        'op.add_column("products", sa.Column("stock", sa.BigInteger(), server_default="0", nullable=False))\n    '
        f'op.execute("ALTER TABLE products {CHECK}")'
    ),
    "Create an index concurrently": (
        f'{BLOCK}op.drop_index("ix_products_updated_at", postgresql_concurrently=True, if_exists=True)\n        '
        'op.create_index("ix_products_updated_at", "products", ["updated_at", "id"], postgresql_concurrently=True)'
    ),
    "Backfill a tenth of the rows": (
        'update_in_batches(op, "products", "colour = \'Amber\'", "name LIKE \'Amber %\' AND colour IS NULL")'
    ),
    "Validate the check": (
        f'{BLOCK}op.execute("ALTER TABLE products VALIDATE CONSTRAINT ck_products_stock_not_negative")'
    ),
}

COLOURS = ("Amber", "Blue", "Coral", "Dark", "Emerald", "Frosted", "Golden", "Hazel", "Ivory", "Jade")
SAMPLES = f"""
    INSERT INTO products (sku, name, description, price, currency, version, created_at, updated_at)
    SELECT 'LARGE-' || n, ('{{{",".join(COLOURS)}}}'::text[])[1 + n % {len(COLOURS)}] || ' mug ' || n, '',
           n * 7919 % 100000, ('{{EUR,USD,GBP}}'::text[])[1 + n % 3], 1, now(), now()
    FROM generate_series(1, {ROWS}::bigint) AS n"""


def migration_files():
    """Return the migrations by file name, each based on the previous one."""
    revisions = [HEAD, *(f"00000a3e000{number}" for number in range(len(BODIES)))]
    return {
        f"{revision}.py": MODULE.format(title=title, revision=revision, before=before, body=body)
        for (title, body), (before, revision) in zip(BODIES.items(), itertools.pairwise(revisions), strict=True)
    }


def dockerfile_lines():
    """Return the Dockerfile lines that add the migrations to a release."""
    return [f"COPY <<'END' /srv/migrations/versions/{name}\n{text}END" for name, text in migration_files().items()]


def fill(server):
    """Insert a million products, and rebuild the indexes afterwards, which takes a third of the time."""
    indexes = server.sql("SELECT indexname, indexdef FROM pg_indexes WHERE indexname LIKE 'ix_products_%'")
    names, definitions = zip(*(row.split("|", 1) for row in indexes), strict=True)
    server.sql(f"DROP INDEX {', '.join(names)}")
    server.sql(SAMPLES)
    for definition in definitions:
        server.sql(f"SET maintenance_work_mem = '256MB'; {definition}")
    server.sql("VACUUM ANALYZE products")


class Traffic:
    """Traffic on a large table: uncached reads of one or several products, changes and creations."""

    def __init__(self, first):
        self.first = first
        self.prefix = f"NEW-{secrets.token_hex(4).upper()}"
        self.numbers = itertools.count(1)

    def choose(self, _turn):
        """Return the next request; each product is changed at most once, so that changes can be counted."""
        number = next(self.numbers)
        offset = number * 7919 % ROWS
        reads = (
            f"/api/products/{self.first + offset}",
            f"/api/products?limit=5&price_min={offset // 20}&currency=EUR",
            f"/api/products?limit=5&sort=-price&price_max={ROWS // 20 + offset // 20}",
            f"/api/products?limit=5&sort=name&q={ROWS // 10 + offset * 9 // 10}",
            f"/api/products?limit=20&price_min=1&price_max={ROWS + offset}",
        )
        match number % 10:
            case 0:
                return self.create(number)
            case 5:
                headers = {"If-Match": "*", "Content-Type": "application/merge-patch+json"}
                return Request("PATCH", f"/api/products/{self.first + offset}", {"price": ROWS + number}, headers)
            case _:
                return Request("GET", reads[number % len(reads)])

    def create(self, number):
        """Return an idempotent request for a new product."""
        sku = f"{self.prefix}-{number}"
        product = {"sku": sku, "name": "Amber cup", "price": 100, "currency": "EUR"}
        return Request("POST", "/api/products", product, JSON | {"Idempotency-Key": sku})


@pytest.fixture(scope="module")
def deployment(new_server, registry, one, figure):
    """Deploy the migrations under load, and return the observations."""
    release = registry.release("large", *dockerfile_lines())
    server = new_server(replicas=2)
    server.ops("deploy", one)
    start = time.monotonic()
    fill(server)
    figure(f"a table of {ROWS:,} rows, filled in {time.monotonic() - start:.0f} s")
    first = int(server.sql("SELECT min(id) FROM products")[0])
    with Load(server.https, HOST, server.token(), keep_alive=3, fresh=1, rate=10, choose=Traffic(first).choose) as load:
        wait_for(lambda: load.report.total > 100, seconds=60)
        observed = deploy(server, release)
    observed.report, observed.first = load.report, first
    observed.during = sorted(
        seconds for moment, seconds in load.report.times if observed.start <= moment <= observed.ended
    )
    figure(f"under load, from before the deploy to its end: {observed.report}")
    figure(f"migrated in {observed.ended - observed.start:.1f} s; {describe(observed.during)}")
    return observed


def deploy(server, release):
    """Deploy a release, and note when the migrations started and ended."""
    output, times = "", {}
    with server.start_ops("deploy", release) as process:
        for line in process.stdout:
            output += line
            if line.startswith("  migrate "):
                times[line.split()[1]] = time.monotonic()
    assert process.returncode == 0, output
    return SimpleNamespace(server=server, start=times["…"], ended=times["done"])


def p99(seconds):
    """Return the 99th percentile."""
    return statistics.quantiles(seconds, n=100)[-1]


def describe(seconds):
    """Return the count, the p99 and the slowest of some requests as text."""
    return f"{len(seconds):,} requests, p99 {p99(seconds):.2f} s, slowest {seconds[-1]:.2f} s"


def test_the_migrations_pass_the_check(tmp_path):
    """The migration check accepts these migrations."""
    folder = tmp_path / "migrations"
    shutil.copytree(ROOT / "migrations", folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in migration_files().items():
        (folder / "versions" / name).write_text(text)
    command = [sys.executable, str(ROOT / "scripts/check_migrations.py"), str(folder)]
    completed = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (completed.returncode, completed.stderr) == (0, "")


@pytest.mark.guarantee(
    "Migrations of a million rows under load fail no request, keep the p99 below a second and lose no write"
)
def test_no_request_fails(deployment):
    """No request fails from before the deploy to its end."""
    assert deployment.report.failures == []


@pytest.mark.guarantee(
    "Migrations of a million rows under load fail no request, keep the p99 below a second and lose no write"
)
def test_p99_stays_below_a_second(deployment):
    """While the migrations run, the p99 is below a second."""
    assert len(deployment.during) >= MIN_REQUESTS
    assert p99(deployment.during) < MAX_P99_S


def test_each_new_product_exists_once(deployment):
    """Every product whose POST returned 201 is in the database once."""
    assert sorted(deployment.server.sql("SELECT sku FROM products WHERE sku LIKE 'NEW-%'")) == sorted(
        deployment.report.created
    )


@pytest.mark.guarantee(
    "Migrations of a million rows under load fail no request, keep the p99 below a second and lose no write"
)
def test_each_change_was_applied_once(deployment):
    """Every PATCH that returned 200 changed its product once, and no other product changed."""
    expected = {path.rpartition("/")[2]: f"2|{body['price']}" for path, body in deployment.report.changed.items()}
    rows = deployment.server.sql("SELECT id, version, price FROM products WHERE version > 1")
    assert dict(row.split("|", 1) for row in rows) == expected


def test_the_table_was_migrated(deployment):
    """Every existing row has the new columns' values, and the index and the constraint are valid."""
    sql = deployment.server.sql
    existing = "sku LIKE 'LARGE-%'"
    assert sql(f"SELECT count(*) FROM products WHERE {existing} AND stock = 0") == [str(ROWS)]
    assert sql(f"SELECT count(*) FROM products WHERE {existing} AND colour = 'Amber'") == [str(ROWS // len(COLOURS))]
    assert sql("SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_products_updated_at'::regclass") == ["t"]
    assert sql("SELECT convalidated FROM pg_constraint WHERE conname = 'ck_products_stock_not_negative'") == ["t"]
