"""A few real calls for each target, and what is wrong in plain words, with the fix.

In come the config and the environment; out come findings for people or as JSON. `examination` has the order:
`steps/` ask through `calls`, `evidence` keeps the answers, `checks/` and `failures` explain them, `report` prints.
"""
