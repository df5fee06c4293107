"""A Valkey that gives the application few rights: it caches with those that it has."""

from tests.support.integration.client import ask


def test_without_a_subscription(serve, postgres_url, valkey):
    """A user who may not subscribe still has the cache; only the copies near by are missing."""
    if not valkey.running():
        valkey.start()
    with valkey.client() as client:
        rights = ("on", ">few-rights", "~cache:*", "resetchannels", "+@all")
        client.execute_command("ACL", "SETUSER", "few", *rights)
    server = serve(postgres_url, valkey.url.replace("redis://", "redis://few:few-rights@"))
    answers = [ask(server.port, "GET", "/api/products?limit=7") for _ in range(3)]
    assert [answer.status for answer in answers] == [200] * 3
    assert all("hit" in answer.cache for answer in answers[1:])
