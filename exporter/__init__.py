"""directmail-exporter: opens and clicks of Alibaba Cloud Direct Mail for Prometheus."""

__version__ = "0.1.0"
