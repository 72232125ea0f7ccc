"""Creates a target's API client, with its limiters and credentials."""

from collections.abc import Mapping

import aiohttp
import structlog

from exporter.clock import Clock
from exporter.config.model import Target
from exporter.directmail import account
from exporter.directmail.client import ATTEMPTS, Client, Observer, Recorder, Retrying
from exporter.directmail.credential_provider import provider
from exporter.directmail.errors import Throttled
from exporter.directmail.limiter import Limiters

LOWER = dict.fromkeys((account.SUMMARY, account.DOMAIN), account.CALLS_PER_MINUTE)
"""Operations with a lower documented limit, in calls a minute."""


def connect(
    target: Target,
    session: aiohttp.ClientSession,
    clock: Clock,
    environment: Mapping[str, str],
    *,
    observe: Observer = lambda action, seconds, reason: None,
    record: Recorder | None = None,
    retrying: Retrying = lambda action, error: None,
    phase: float = 0.0,
    attempts: int = ATTEMPTS,
) -> Client:
    """Return the target's client, with a limiter for each operation."""
    log = structlog.get_logger().bind(target=target.name)
    source = target.credentials
    keys = provider(
        source.type,
        clock,
        access_key_id_file=source.access_key_id_file,
        access_key_secret_file=source.access_key_secret_file,
        security_token_file=source.security_token_file,
        options=source.options,
        environment=environment,
        reread=lambda: log.info("access key files re-read"),
    )

    def throttling(action: str, before: float, now: float) -> None:
        rates = {"from": f"{before:g}", "to": f"{now:g}"}
        if now < before:
            log.warning("throttling started", action=action, **rates, advice=Throttled.usual_advice)
        else:
            log.info("throttling ended", action=action, **rates)

    return Client(
        session,
        target.endpoint,
        keys,
        Limiters(target.rate_limit_per_minute, clock, phase, lower=LOWER, changed=throttling),
        clock,
        timeout=target.timeout,
        page_size=target.page_size,
        observe=observe,
        record=record,
        retrying=retrying,
        attempts=attempts,
    )
