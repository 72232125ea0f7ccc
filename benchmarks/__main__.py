"""`python -m benchmarks`: every figure, one line each; the exit status tells whether all targets were met."""

import asyncio
import sys

import structlog

from benchmarks import (
    accounts,
    budget,
    calls,
    clients,
    health,
    holds,
    keys,
    load,
    million,
    process,
    scrapes,
    status_page,
)


async def _main() -> bool:
    met = True
    for figures in (
        iter([await calls.cpu_per_call(), await calls.against_the_sdk()]),
        iter([await budget.calls_per_interval()]),
        await keys.figures(),
        await scrapes.figures(),
        await process.figures(),
        await health.figures(),
        await load.figures(),
        await clients.figures(),
        await status_page.figures(),
        await accounts.figures(),
        await holds.figures(),
        await million.figures(),
    ):
        for figure in figures:
            print(figure, flush=True)
            met &= figure.met
    return met


structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
sys.exit(0 if asyncio.run(_main()) else 1)
