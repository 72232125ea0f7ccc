"""Makes a few real calls, and explains the problems of each target in plain words, with the fix.

In come the config and the environment; out come findings for people or as JSON. `examination` has the order:
`steps/` make requests through `calls`, `evidence` keeps the responses, `checks/` and `failures` explain them.
"""
