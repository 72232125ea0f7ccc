"""The list of statistics. A new one is a module beside this one, a table in `metrics/`, and a line here.

The demo shows it once the simulator has it: an operation in `simulator.server`, and counts in `Traffic.totals`.
"""

from exporter.directmail.statistics.delivery import DELIVERY
from exporter.directmail.statistics.engagement import ENGAGEMENT
from exporter.directmail.statistics.statistic import Statistic

STATISTICS: dict[str, Statistic] = {each.name: each for each in (ENGAGEMENT, DELIVERY)}
"""By name, in the order in which they are shown."""
DEFAULT = (ENGAGEMENT.name,)
"""The statistics of a query that names none."""
