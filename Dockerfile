# Build stage: the virtual environment, from hashed pins and wheels only, so that no third-party build code runs.
FROM python:3.14-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
WORKDIR /build
RUN python3 -m venv /opt/venv
COPY requirements.txt .
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/venv/bin/pip install --no-compile --require-hashes --only-binary=:all: --requirement requirements.txt \
    && /opt/venv/bin/pip uninstall --yes pip
# Importing compiles what every start needs. Compiling the rest (tracing, other databases) would add a quarter to the size; a
# start with tracing takes a second longer instead.
RUN /opt/venv/bin/python -c 'import alembic.command, flask.cli, flask_migrate.cli, flask_smorest, flask_sqlalchemy.cli, \
    gunicorn.app.wsgiapp, gunicorn.workers.gthread, prometheus_client.core, prometheus_client.multiprocess, \
    psycopg2.extras, redis, sqlalchemy.dialects.postgresql.psycopg2, sqlalchemy.dialects.sqlite, werkzeug.middleware.proxy_fix'

# Static stage: the files that nginx serves, with a content hash in their names. It copies only their inputs, so that other
# changes do not invalidate this stage.
FROM build AS static
COPY scripts/build_static.py scripts/
COPY app/http/static_files.py app/http/
COPY app/static app/static
RUN /opt/venv/bin/python scripts/build_static.py app/static /static

# Runtime stage: the least frequently changed layers first.
FROM python:3.14-slim
RUN pip uninstall --yes --root-user-action=ignore pip \
    && groupadd --system --gid 10001 app && useradd --system --uid 10001 --gid app --no-create-home --home-dir /srv app
WORKDIR /srv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=build /opt/venv /opt/venv
COPY scripts/healthcheck.sh config.py wsgi.py gunicorn.conf.py ./
COPY scripts/check_production.py scripts/
COPY migrations migrations
COPY app app
# The bundle: everything else that a server needs, so that one digest and one signature cover the whole release.
COPY docker-compose.prod.yml bundle/
COPY nginx bundle/nginx
COPY deploy/postgres bundle/deploy/postgres
COPY deploy/pgbouncer bundle/deploy/pgbouncer
COPY deploy/certbot bundle/deploy/certbot
COPY deploy/backup bundle/deploy/backup
COPY deploy/observability bundle/deploy/observability
COPY ops bundle/ops
COPY --from=static /static bundle/static
# The process cannot write its code, except in development, where `docker compose watch` deletes files.
ARG CODE_OWNER=root
RUN python -m compileall -q app migrations ./*.py && chown -R "$CODE_OWNER" app migrations

ARG RELEASE=unknown
ARG SOURCE=unknown
ENV RELEASE=$RELEASE
LABEL org.opencontainers.image.title="Flask in production" \
      org.opencontainers.image.licenses=BSD-3-Clause \
      org.opencontainers.image.source=$SOURCE \
      org.opencontainers.image.revision=$RELEASE
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=3s --start-period=30s --start-interval=1s CMD ["bash", "healthcheck.sh"]
CMD ["gunicorn"]
