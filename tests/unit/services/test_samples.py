"""Sample products."""

from hypothesis import given
from hypothesis import strategies as st

from app.schemas.product import ProductInput
from app.services.samples import PREFIX, sample

NUMBERS = st.integers(1, 10_000_000)


@given(number=NUMBERS)
def test_valid(number):
    """A sample passes the validation of a client's product."""
    fields = {name: value for name, value in sample(number).items() if not name.endswith("_at")}
    assert ProductInput().load(fields) == fields


@given(number=NUMBERS)
def test_deterministic(number):
    """A sample depends on nothing but its number."""
    assert sample(number) == sample(number)
    assert sample(number)["created_at"].tzinfo is not None


def test_known_sample():
    """A sample is the same in every release, so that benchmarks are comparable."""
    assert {name: sample(1)[name] for name in ("sku", "name", "price", "currency")} == {
        "sku": "SAMPLE-00000001",
        "name": "Lilac steel jug 1",
        "price": 92_861,
        "currency": "JPY",
    }


@given(one=NUMBERS, other=NUMBERS)
def test_order(one, other):
    """SKUs sort by number, so that the highest SKU has the highest number."""
    assert (sample(one)["sku"] < sample(other)["sku"]) == (one < other)
    assert int(sample(one)["sku"].removeprefix(PREFIX)) == one


def test_variety():
    """A thousand samples cover every currency and mostly different prices."""
    thousand = [sample(number) for number in range(1, 1001)]
    assert len({each["currency"] for each in thousand}) == 5
    assert len({each["price"] for each in thousand}) > 900
