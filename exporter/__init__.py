"""directmail-exporter: opens and clicks, deliveries, quota and domains of Direct Mail for Prometheus.

The packages, in the direction the data flows; imports point down only (`python -m tools.rooms` draws them):

    config -> plan -> collector -> store -> metrics -> web

    commands   the command line          app        opens everything, owns the tasks
    reload     the config's file         polling    the targets that are polled, and the plans they follow
    web        server and status page    doctor     a few real calls, explained
    polled_target  one target's tasks    target_client  one target's API client
    metrics    what Prometheus reads     collector  due cells -> client -> store
    plan       what is due, and its cost
    store      what is known             config     YAML -> frozen values
    directmail the API client            simulator  the API's other side
    watch      files that change         logs       the log
    clock      the time                  process    signals, stderr, systemd
"""

import os

__version__ = "0.1.0"
__revision__ = os.environ.get("DIRECTMAIL_EXPORTER_REVISION", "unknown")
"""The commit that an image was built from."""
