"""What a target of the config comes to: its limiter, its credentials, its client."""

from collections.abc import Mapping

import aiohttp

from exporter.clock import Clock
from exporter.config.model import Target
from exporter.directmail.client import ATTEMPTS, Client, Observer
from exporter.directmail.credential_provider import provider
from exporter.directmail.limiter import Limiter


def connect(
    target: Target,
    session: aiohttp.ClientSession,
    clock: Clock,
    environment: Mapping[str, str],
    *,
    observe: Observer = lambda action, seconds, reason: None,
    phase: float = 0.0,
    attempts: int = ATTEMPTS,
) -> tuple[Client, Limiter]:
    """Return the target's client and the limiter that all of its requests pass."""
    limiter = Limiter(target.rate_limit_per_minute, clock, phase)
    source = target.credentials
    keys = provider(
        source.type,
        clock,
        access_key_id_file=source.access_key_id_file,
        access_key_secret_file=source.access_key_secret_file,
        security_token_file=source.security_token_file,
        options=source.options,
        environment=environment,
    )
    client = Client(
        session,
        target.endpoint,
        keys,
        limiter,
        clock,
        timeout=target.timeout,
        page_size=target.page_size,
        observe=observe,
        attempts=attempts,
    )
    return client, limiter
