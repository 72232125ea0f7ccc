"""Where an answer of GetTrackList has what it says."""

from exporter.directmail.statistics.engagement import ENGAGEMENT

COUNTS = ENGAGEMENT.fields
RATES = tuple(rate.field for rate in ENGAGEMENT.rates.values())
