"""What Prometheus reads: the tables of metrics, their rendering, and the exposition that holds it ready.

In come records of the store and the program's own state; out comes the body of a scrape.
"""
