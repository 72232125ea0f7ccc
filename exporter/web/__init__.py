"""The HTTP server: /metrics, health, reload and the status page, with TLS, passwords and limits.

In come the exposition and the state of the targets; out go responses. `server` is the entry point.
"""
