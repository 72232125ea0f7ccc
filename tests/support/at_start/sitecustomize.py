"""Python runs this first in programs that tests start, whose PYTHONPATH has this folder."""

import suite_clock

suite_clock.follow()
