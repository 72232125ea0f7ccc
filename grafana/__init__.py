"""The Grafana dashboards: `python -m grafana.build` writes the JSON files beside this one."""
