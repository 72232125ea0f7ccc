"""The real stack around the exporter: Debian's Prometheus and Alertmanager, run as processes on loopback.

programs    finds, starts and ends them
prometheus  a Prometheus with a history, and its API
rules       our rule files, as they are and with time running faster
worlds      weeks of simulated mail, each with an incident
verdicts    which alerts fire in them, and when
incidents   what must fire, and the page that says what did
live        a small exporter under a fast clock, with receiver, the webhook that is notified
demo        `make demo-stack`, with the weeks before it from past
"""
