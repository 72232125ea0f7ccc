"""Writes the demo's last weeks and what it knew in the end, as a process of its own.

`python -m tools.stack.past FILE STATE_FILE UNTIL DAYS TIMEZONE INSTANCE INCIDENT...`
"""

import sys
from pathlib import Path
from zoneinfo import ZoneInfo

from exporter.commands import demo
from exporter.simulator import incidents
from exporter.simulator.traffic import Choices, Traffic

if __name__ == "__main__":
    file, state_file, until, days, zone, instance, *written = sys.argv[1:]
    now = float(until)
    traffic = Traffic(choices=Choices(ZoneInfo(zone)), incidents=[incidents.parse(text, now) for text in written])
    demo.write_history(Path(file), Path(state_file), traffic, now, instance, float(days))
