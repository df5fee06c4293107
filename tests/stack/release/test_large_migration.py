"""Migrations of a million rows, under load: nobody is turned away, nobody waits long, and nothing is lost."""

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
P99 = 1.0  # seconds
FEWEST = 500  # requests, for their p99 to mean something
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
# What a table gets in its life, each as a real release brings it.
BODIES = {
    "Columns, one without a value and one with, and a check of it for new rows": (
        'op.add_column("products", sa.Column("colour", sa.Text()))\n    '
        'op.add_column("products", sa.Column("stock", sa.BigInteger(), server_default="0", nullable=False))\n    '
        f'op.execute("ALTER TABLE products {CHECK}")'
    ),
    "An index": (
        f'{BLOCK}op.drop_index("ix_products_updated_at", postgresql_concurrently=True, if_exists=True)\n        '
        'op.create_index("ix_products_updated_at", "products", ["updated_at", "id"], postgresql_concurrently=True)'
    ),
    "Values for a tenth of the rows": (
        'update_in_batches(op, "products", "colour = \'Amber\'", "name LIKE \'Amber %\' AND colour IS NULL")'
    ),
    "The check, of every row": (
        f'{BLOCK}op.execute("ALTER TABLE products VALIDATE CONSTRAINT ck_products_stock_not_negative")'
    ),
}

COLOURS = ("Amber", "Blue", "Coral", "Dark", "Emerald", "Frosted", "Golden", "Hazel", "Ivory", "Jade")
SAMPLES = f"""
    INSERT INTO products (sku, name, description, price, currency, version, created_at, updated_at)
    SELECT 'LARGE-' || n, ('{{{",".join(COLOURS)}}}'::text[])[1 + n % {len(COLOURS)}] || ' mug ' || n, '',
           n * 7919 % 100000, ('{{EUR,USD,GBP}}'::text[])[1 + n % 3], 1, now(), now()
    FROM generate_series(1, {ROWS}::bigint) AS n"""


def modules():
    """Return the migrations by file name, each behind the one before."""
    revisions = [HEAD, *(f"00000a3e000{number}" for number in range(len(BODIES)))]
    return {
        f"{revision}.py": MODULE.format(title=title, revision=revision, before=before, body=body)
        for (title, body), (before, revision) in zip(BODIES.items(), itertools.pairwise(revisions), strict=True)
    }


def lines():
    """Return the lines of a Dockerfile that put the migrations into a release."""
    return [f"COPY <<'END' /srv/migrations/versions/{name}\n{text}END" for name, text in modules().items()]


def fill(server):
    """Give the products a million rows, and build the indexes anew behind them, which takes a third of the time."""
    indexes = server.sql("SELECT indexname, indexdef FROM pg_indexes WHERE indexname LIKE 'ix_products_%'")
    names, definitions = zip(*(row.split("|", 1) for row in indexes), strict=True)
    server.sql(f"DROP INDEX {', '.join(names)}")
    server.sql(SAMPLES)
    for definition in definitions:
        server.sql(f"SET maintenance_work_mem = '256MB'; {definition}")
    server.sql("VACUUM ANALYZE products")


class Shop:
    """What users of a large table do: they read one product or some, past every cache, change some and make some."""

    def __init__(self, first):
        self.first = first
        self.prefix = f"NEW-{secrets.token_hex(4).upper()}"
        self.numbers = itertools.count(1)

    def choose(self, _turn):
        """Return the next request; no product is changed twice, so that how often it was changed can be told."""
        number = next(self.numbers)
        some = number * 7919 % ROWS
        reads = (
            f"/api/products/{self.first + some}",
            f"/api/products?limit=5&price_min={some // 20}&currency=EUR",
            f"/api/products?limit=5&sort=-price&price_max={ROWS // 20 + some // 20}",
            f"/api/products?limit=5&sort=name&q={ROWS // 10 + some * 9 // 10}",
            f"/api/products?limit=20&price_min=1&price_max={ROWS + some}",
        )
        match number % 10:
            case 0:
                return self.create(number)
            case 5:
                headers = {"If-Match": "*", "Content-Type": "application/merge-patch+json"}
                return Request("PATCH", f"/api/products/{self.first + some}", {"price": ROWS + number}, headers)
            case _:
                return Request("GET", reads[number % len(reads)])

    def create(self, number):
        """Return a request for a new product, that may be sent again."""
        sku = f"{self.prefix}-{number}"
        product = {"sku": sku, "name": "Amber cup", "price": 100, "currency": "EUR"}
        return Request("POST", "/api/products", product, JSON | {"Idempotency-Key": sku})


@pytest.fixture(scope="module")
def drill(new_server, registry, one, figure):
    """Deploy the migrations under load, and return what was seen."""
    release = registry.release("large", *lines())
    server = new_server(replicas=2)
    server.ops("deploy", one)
    begun = time.monotonic()
    fill(server)
    figure(f"a table of {ROWS:,} rows, filled in {time.monotonic() - begun:.0f} s")
    first = int(server.sql("SELECT min(id) FROM products")[0])
    with Load(server.https, HOST, server.token(), keep_alive=3, fresh=1, rate=10, choose=Shop(first).choose) as load:
        wait_for(lambda: load.report.total > 100, seconds=60)
        seen = deploy(server, release)
    seen.report, seen.first = load.report, first
    seen.during = sorted(seconds for moment, seconds in load.report.times if seen.begun <= moment <= seen.ended)
    figure(f"under load, from before the deploy to its end: {seen.report}")
    figure(f"migrated in {seen.ended - seen.begun:.1f} s; {told(seen.during)}")
    return seen


def deploy(server, release):
    """Deploy a release, and note when the migrations began and ended."""
    output, moments = "", {}
    with server.start_ops("deploy", release) as process:
        for line in process.stdout:
            output += line
            if line.startswith("  migrate "):
                moments[line.split()[1]] = time.monotonic()
    assert process.returncode == 0, output
    return SimpleNamespace(server=server, begun=moments["…"], ended=moments["done"])


def p99(seconds):
    """Return the value that one in a hundred is above."""
    return statistics.quantiles(seconds, n=100)[-1]


def told(seconds):
    """Return what is to be known of some requests, in one line."""
    return f"{len(seconds):,} requests, p99 {p99(seconds):.2f} s, slowest {seconds[-1]:.2f} s"


def test_the_migrations_are_of_the_kind_that_is_allowed(tmp_path):
    """What is done here is what any release may do: the check of migrations has nothing against it."""
    folder = tmp_path / "migrations"
    shutil.copytree(ROOT / "migrations", folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in modules().items():
        (folder / "versions" / name).write_text(text)
    command = [sys.executable, str(ROOT / "scripts/check_migrations.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_request_fails(drill):
    """From before the deploy to its end not one request fails."""
    assert drill.report.failures == []


def test_nobody_waits_long(drill):
    """While the migrations run, 99 of 100 requests are answered within a second."""
    assert len(drill.during) >= FEWEST
    assert p99(drill.during) < P99


def test_each_new_product_is_there_once(drill):
    """Every product whose POST was answered 201 is in the database, once."""
    assert sorted(drill.server.sql("SELECT sku FROM products WHERE sku LIKE 'NEW-%'")) == sorted(drill.report.created)


def test_each_change_was_made_once(drill):
    """Every PATCH that was answered 200 is in its product, which was changed once; no other product was changed."""
    wanted = {path.rpartition("/")[2]: f"2|{body['price']}" for path, body in drill.report.changed.items()}
    rows = drill.server.sql("SELECT id, version, price FROM products WHERE version > 1")
    assert dict(row.split("|", 1) for row in rows) == wanted


def test_the_table_has_what_was_to_be_made(drill):
    """The columns have their values in every row that was there, the index is valid, and so is the check."""
    sql = drill.server.sql
    there = "sku LIKE 'LARGE-%'"
    assert sql(f"SELECT count(*) FROM products WHERE {there} AND stock = 0") == [str(ROWS)]
    assert sql(f"SELECT count(*) FROM products WHERE {there} AND colour = 'Amber'") == [str(ROWS // len(COLOURS))]
    assert sql("SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_products_updated_at'::regclass") == ["t"]
    assert sql("SELECT convalidated FROM pg_constraint WHERE conname = 'ck_products_stock_not_negative'") == ["t"]
