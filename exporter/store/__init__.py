"""What is known: totals of days, growth observed between two reads, discovered values; in memory and in SQLite.

In come complete answers and failures; out come records for the metrics and, after a restart, all of it again.
"""
