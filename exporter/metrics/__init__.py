"""The tables of metrics, their rendering, and the exposition that serves them to Prometheus.

In come records of the store and the program's own state; out comes the body of a scrape.
"""
