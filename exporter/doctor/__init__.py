"""A few real calls for each target, and what is wrong in plain words, with the fix.

In come the config and the environment; out come findings for people or as JSON. `examination` makes the calls,
`http_trace` listens to them, `failures` and `checks` explain the answers, `report` prints them.
"""
