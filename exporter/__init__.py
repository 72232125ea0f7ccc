"""directmail-exporter: opens and clicks of Alibaba Cloud Direct Mail for Prometheus.

The map, in the direction the data flows; imports point the other way only:

    config -> plan -> collector -> store -> metrics -> web

    cli          sub-commands; flags: what several of them take; trial: those without an account; ending: how they end
    app          composition root: opens everything, owns tasks and signals
    backfill     history for promtool, with progress; check: what a config costs; demo: exporter and simulator
    replay       the demo's past, as made-up weeks of it
    doctor       a few real calls, and what is wrong in plain words
    healthcheck  asks a running exporter whether it lives
    polling      the targets that are polled, and the plans they follow
    publisher    keeps the exposition in step with the store and the calendar
    collector    the loop: due cells -> client -> store
    discovery    lists the values of discovered filters
    schedule     which cell is asked next
    metrics      the table of metrics; telemetry: the exporter's own
    web          server and pages
    simulator    the API's other side
    selection    which discovered combinations fit; soundness: what is wrong with a config's plan
    plan         what there is to ask, and its cost
    store        what is known; catalogue: of filter values; state: both on disk
    history      samples with times as OpenMetrics
    exposition   the rendered snapshot; checksum: CRC-32 from pieces
    connection   a target's client and limiter
    crosscheck   whether what the API says agrees with itself
    config       as run; written, matrix and access: as written, with checking, scalars, regions, yamlfile below
    shards       which of several processes polls a target
    directmail   the API client
    clock        the time; logs: the log; watch: files that change
"""

import os

__version__ = "0.1.0"
__revision__ = os.environ.get("DIRECTMAIL_EXPORTER_REVISION", "unknown")
"""The commit that an image was built from."""
