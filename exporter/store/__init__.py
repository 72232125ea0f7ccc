"""Stores totals of days, growth observed between two reads, and discovered values, in memory and in SQLite.

In come complete results and failures; out come records for the metrics and, after a restart, all of it again.
"""
