# Two stages: the first has pip and the build's own tools, the second only what runs. Neither needs a shell to run.
# The base has a tag, not a digest: a digest keeps a build from taking the base's security updates, and is that of one
# architecture's list on one registry. For builds that are equal bit for bit:
#   make image BASE=python:3.13-slim-trixie@sha256:...
ARG BASE=python:3.13-slim-trixie
FROM ${BASE} AS build
WORKDIR /src
COPY requirements.txt requirements-build.txt ./
# Some packages come as source: wheels are built first, by tools that have hashes too.
RUN python3 -m venv /opt/build && python3 -m venv --without-pip /opt/exporter \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes --no-deps --requirement requirements-build.txt \
    && /opt/build/bin/pip wheel --no-cache-dir --require-hashes --no-deps --no-build-isolation --wheel-dir wheels --requirement requirements.txt \
    && /opt/build/bin/pip --python /opt/exporter/bin/python install --no-cache-dir --no-index --no-deps wheels/*.whl
COPY pyproject.toml README.md LICENSE config.example.yaml ./
COPY deploy/grafana deploy/grafana
COPY deploy/perses deploy/perses
COPY deploy/systemd deploy/systemd
COPY grafana grafana
COPY prometheus prometheus
COPY exporter exporter
RUN /opt/build/bin/pip wheel --no-index --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/build/bin/pip --python /opt/exporter/bin/python install --no-cache-dir --no-index --no-deps dist/*.whl \
    && install --directory --mode=775 /state/directmail-exporter

FROM ${BASE}
COPY --from=build /opt/exporter /opt/exporter
# A named volume takes over owner and mode. Group 0 may write too: OpenShift runs images as a user of its own in that
# group. It comes within its parent, because of a folder that is copied itself only the content keeps its mode.
COPY --from=build --chown=65534:0 /state /var/lib
ARG BASE
ARG CREATED=1970-01-01T00:00:00Z
ARG REVISION=unknown
ARG VERSION=unknown
# No base.digest: the base is a tag, so that a rebuild takes its security updates.
LABEL org.opencontainers.image.title="directmail-exporter" \
      org.opencontainers.image.authors="The directmail-exporter authors" \
      org.opencontainers.image.vendor="directmail-exporter" \
      org.opencontainers.image.ref.name="${VERSION}" \
      org.opencontainers.image.description="Opens and clicks, deliveries, quota and domains of Alibaba Cloud Direct Mail for Prometheus" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.url="https://example.com/directmail-exporter" \
      org.opencontainers.image.source="https://example.com/directmail-exporter" \
      org.opencontainers.image.documentation="https://example.com/directmail-exporter/docs" \
      org.opencontainers.image.base.name="docker.io/library/${BASE}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV DIRECTMAIL_EXPORTER_REVISION="${REVISION}" \
    PATH=/opt/exporter/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65534:65534
EXPOSE 10058
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s CMD ["directmail-exporter", "healthcheck"]
ENTRYPOINT ["directmail-exporter"]
CMD ["--config.file=/etc/directmail-exporter/config.yaml"]
