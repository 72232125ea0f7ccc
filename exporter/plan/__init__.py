"""What there is to read, what it costs, and which cell is due next. Pure functions of the config and a given time.

In come the config and the discovered values; out come a `TargetPlan` for each target, its `Schedule`, and what is wrong
with a config whose plan cannot be kept.
"""
