"""Sample products: the same number is the same product, and each could have been sent by a client."""

from hypothesis import given
from hypothesis import strategies as st

from app.schemas.product import ProductInput
from app.services.samples import PREFIX, sample

NUMBERS = st.integers(1, 10_000_000)


@given(number=NUMBERS)
def test_valid(number):
    """A sample passes the checks that a client's product has to pass."""
    fields = {name: value for name, value in sample(number).items() if not name.endswith("_at")}
    assert ProductInput().load(fields) == fields


@given(number=NUMBERS)
def test_same_number_same_product(number):
    """Nothing in a sample depends on chance or on the day."""
    assert sample(number) == sample(number)
    assert sample(number)["created_at"].tzinfo is not None


def test_known_sample():
    """A sample is the same in every release: a benchmark compares the same rows."""
    assert {name: sample(1)[name] for name in ("sku", "name", "price", "currency")} == {
        "sku": "SAMPLE-00000001",
        "name": "Lilac steel jug 1",
        "price": 92_861,
        "currency": "JPY",
    }


@given(one=NUMBERS, other=NUMBERS)
def test_order(one, other):
    """SKUs sort as their numbers do, so that the highest says how many there are."""
    assert (sample(one)["sku"] < sample(other)["sku"]) == (one < other)
    assert int(sample(one)["sku"].removeprefix(PREFIX)) == one


def test_variety():
    """A thousand samples use every currency and hardly share a price."""
    thousand = [sample(number) for number in range(1, 1001)]
    assert len({each["currency"] for each in thousand}) == 5
    assert len({each["price"] for each in thousand}) > 900
