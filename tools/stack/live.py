"""A small exporter and its simulator under one fast clock: `python -m tools.stack.live ADDRESS SPEED INCIDENT...`.

Few combinations, so that an hour of them fits into some seconds of a busy machine. The clock starts on a morning of
mail, whatever the hour here.
"""

import asyncio
import sys
import time
from dataclasses import replace

from exporter import logs
from exporter.app import App
from exporter.clock import VirtualClock
from exporter.commands import demo
from exporter.directmail.statistics.registry import DEFAULT
from exporter.simulator import incidents
from exporter.simulator.behaviour import Behaviour
from exporter.simulator.incidents import PRODUCT
from exporter.simulator.server import Simulator
from exporter.simulator.traffic import Traffic
from exporter.web.server import Options
from tools.stack.worlds import MOMENT

WINDOWS = ("today", "yesterday")


async def run(address: str, speed: float, written: list[str]) -> None:
    """Run both until SIGTERM; say on stdout what the clock shows at the machine's time 0, from which it runs so fast.

    Raise ValueError for an incident that is none, BindError as App.run does.
    """
    clock = VirtualClock(speed, MOMENT)
    sys.stdout.write(f"clock={MOMENT - time.time() * speed:.6f}\n")
    sys.stdout.flush()
    planned = [incidents.parse(text, clock.time()) for text in written]
    simulator = Simulator(Traffic(incidents=planned), clock=clock, behaviour=Behaviour(calls_per_minute=100_000))
    environment = {
        "ALIBABA_CLOUD_ACCESS_KEY_ID": simulator.key_id,
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": simulator.secret,
    }
    async with simulator.listen() as url:
        made = demo.settings(url, speed)
        target = made.targets[0]
        queries = tuple(
            replace(each, filters={**each.filters, "account_name": (PRODUCT,)}, statistics=DEFAULT)
            for each in target.queries
            if PRODUCT in each.filters.get("account_name", ())
        )
        small = replace(
            made,
            windows=WINDOWS,
            account_interval=None,
            domains_interval=None,
            targets=(replace(target, queries=queries),),
        )
        await App(small, Options((address,)), clock=clock, environment=environment).run()


if __name__ == "__main__":
    logs.configure("info", "logfmt")
    asyncio.run(run(sys.argv[1], float(sys.argv[2]), sys.argv[3:]))
