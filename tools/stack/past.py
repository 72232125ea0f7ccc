"""Writes the demo's last weeks, as a process: `python -m tools.stack.past FILE UNTIL INSTANCE INCIDENT...`."""

import sys
from pathlib import Path

from exporter.commands import demo
from exporter.simulator import incidents
from exporter.simulator.traffic import Traffic

if __name__ == "__main__":
    file, until, instance, *written = sys.argv[1:]
    now = float(until)
    traffic = Traffic(incidents=[incidents.parse(text, now) for text in written])
    demo.past(traffic, now, instance).write(Path(file))
