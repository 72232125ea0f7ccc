"""The client of Direct Mail's API: signed calls within a rate limit, responses as numbers, one tree of errors.

In come credentials, filters and a day; out come totals or a DirectMailError. Independent of Prometheus.
"""
