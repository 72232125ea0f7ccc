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
    for measured in (
        calls.figures,
        budget.figures,
        keys.figures,
        scrapes.figures,
        process.figures,
        health.figures,
        load.figures,
        clients.figures,
        status_page.figures,
        accounts.figures,
        holds.figures,
        million.figures,
    ):
        for figure in await measured():
            print(figure, flush=True)
            met &= figure.met
    return met


structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
sys.exit(0 if asyncio.run(_main()) else 1)
