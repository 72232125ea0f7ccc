# Two stages: the first has pip, the second only what runs.
FROM python:3.13-slim-bookworm AS build
WORKDIR /src
RUN python3 -m venv /opt/exporter
COPY requirements.txt .
RUN /opt/exporter/bin/pip install --no-cache-dir --require-hashes --no-deps --requirement requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY exporter exporter
RUN /opt/exporter/bin/pip install --no-cache-dir --no-deps . && /opt/exporter/bin/pip uninstall --yes pip

FROM python:3.13-slim-bookworm
ARG REVISION=unknown
LABEL org.opencontainers.image.title="directmail-exporter" \
      org.opencontainers.image.description="Opens and clicks of Alibaba Cloud Direct Mail for Prometheus" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}"
ENV DIRECTMAIL_EXPORTER_REVISION="${REVISION}" PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
COPY --from=build /opt/exporter /opt/exporter
USER 65534:65534
EXPOSE 10058
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s CMD ["/opt/exporter/bin/directmail-exporter", "healthcheck"]
ENTRYPOINT ["/opt/exporter/bin/directmail-exporter"]
CMD ["--config.file=/etc/directmail-exporter/config.yaml"]
