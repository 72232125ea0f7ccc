"""Writes the demo's last weeks, as a process: `python -m tools.stack.past FILE UNTIL TIMEZONE INSTANCE INCIDENT...`."""

import sys
from pathlib import Path
from zoneinfo import ZoneInfo

from exporter.commands import demo
from exporter.simulator import incidents
from exporter.simulator.traffic import Choices, Traffic

if __name__ == "__main__":
    file, until, zone, instance, *written = sys.argv[1:]
    now = float(until)
    traffic = Traffic(choices=Choices(ZoneInfo(zone)), incidents=[incidents.parse(text, now) for text in written])
    demo.past(traffic, now, instance).write(Path(file))
