"""The nginx configuration of a release: applied by its deploy, reverted by a rollback, without interruption."""

from types import SimpleNamespace

import pytest

TEMPLATE = "bundle/nginx/templates/settings/hsts.conf.template"
# A new setting with a default, and a template that uses it.
ADDED = (
    f"RUN echo 'add_header X-Added \"${{EDGE_ADDED}}\" always;' >> {TEMPLATE}",
    "RUN echo 'export EDGE_ADDED=${ADDED:-default}' >> bundle/nginx/start/10-settings.envsh",
)


@pytest.fixture(scope="module")
def seen(server, registry):
    """Deploy a release with another template and roll it back; return the header and the nginx container after each."""
    states = {}
    for name, words in {
        "before": None,
        "deploy": ("deploy", registry.release("added", *ADDED)),
        "rollback": ("rollback",),
    }.items():
        if words:
            server.ops(*words)
        nginx = server.compose("ps", "--quiet", "nginx").stdout
        states[name] = SimpleNamespace(nginx=nginx, header=server.request("/health").headers["X-Added"])
    return states


def test_templates_of_a_release(seen):
    """A deploy renders the new release's templates with their defaults; a rollback renders the old one's."""
    headers = {name: state.header for name, state in seen.items()}
    assert headers == {"before": None, "deploy": "default", "rollback": None}


def test_same_container(seen):
    """Nginx keeps its container."""
    assert len({state.nginx for state in seen.values()}) == 1
