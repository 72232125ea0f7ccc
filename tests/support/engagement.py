"""The fields of a response of GetTrackList."""

from exporter.directmail.statistics.engagement import ENGAGEMENT

COUNTS = ENGAGEMENT.fields
RATES = tuple(rate.field for rate in ENGAGEMENT.rates.values())
