"""A config for the whole program against a simulator, and the key that both know."""

from pathlib import Path

from exporter.simulator.behaviour import Behaviour
from exporter.simulator.server import KEY_ID, SECRET, Simulator

KEYS = {"ALIBABA_CLOUD_ACCESS_KEY_ID": KEY_ID, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": SECRET}
SENDERS = ("news@mail.example.com", "product@mail.example.com", "no-reply@notify.example.com")


def simulator(**options: object) -> Simulator:
    return Simulator(behaviour=Behaviour(calls_per_minute=100_000), **options)  # type: ignore[arg-type]


def write_config(path: Path, endpoint: str, *senders: str, head: str = "") -> Path:
    """Write a config that polls the senders of a simulator fast."""
    path.write_text(
        f"""{head}
poll_interval: 1h
windows: [today, yesterday]
targets:
  - name: shop
    endpoint: {endpoint}
    rate_limit_per_minute: 6000
    timeout: 60s
    queries:
      - name: by_sender
        account_name: [{", ".join(senders or SENDERS[:2])}]
"""
    )
    return path
