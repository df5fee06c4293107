"""What a release brings for the edge: taken up by its deploy, and taken back by a rollback, without a break."""

from types import SimpleNamespace

import pytest

TEMPLATE = "bundle/nginx/templates/settings/hsts.conf.template"
# A setting that no server has yet, with its default, and a template that uses it.
BROUGHT = (
    f"RUN echo 'add_header X-Brought \"${{EDGE_BROUGHT}}\" always;' >> {TEMPLATE}",
    "RUN echo 'export EDGE_BROUGHT=${BROUGHT:-by-default}' >> bundle/nginx/start/10-settings.envsh",
)


@pytest.fixture(scope="module")
def seen(server, registry):
    """Deploy a release with another template and roll it back; return what users met, and which Nginx it was."""
    moments = {}
    for name, words in {
        "before": None,
        "deploy": ("deploy", registry.release("brought", *BROUGHT)),
        "rollback": ("rollback",),
    }.items():
        if words:
            server.ops(*words)
        nginx = server.compose("ps", "--quiet", "nginx").stdout
        moments[name] = SimpleNamespace(nginx=nginx, header=server.ask("/health").headers["X-Brought"])
    return moments


def test_a_release_brings_its_templates(seen):
    """A deploy fills in the new release's templates, by the defaults of its settings, and a rollback the old one's."""
    headers = {name: moment.header for name, moment in seen.items()}
    assert headers == {"before": None, "deploy": "by-default", "rollback": None}


def test_nginx_is_not_made_anew_for_it(seen):
    """It is the same container all the while."""
    assert len({moment.nginx for moment in seen.values()}) == 1
