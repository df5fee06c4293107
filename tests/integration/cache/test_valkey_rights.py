"""A Valkey user with few rights: the application caches as far as they allow."""

from tests.support.integration.client import send_request


def test_no_right_to_subscribe(serve, postgres_url, valkey):
    """A user that may not subscribe has the shared cache, without local copies."""
    if not valkey.running():
        valkey.start()
    with valkey.client() as client:
        rights = ("on", ">few-rights", "~cache:*", "resetchannels", "+@all")
        client.execute_command("ACL", "SETUSER", "few", *rights)
    server = serve(postgres_url, valkey.url.replace("redis://", "redis://few:few-rights@"))
    responses = [send_request(server.port, "GET", "/api/products?limit=7") for _ in range(3)]
    assert [response.status for response in responses] == [200] * 3
    assert all("hit" in response.cache for response in responses[1:])
