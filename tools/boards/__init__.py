"""The Grafana dashboards: `python -m tools.boards.build` writes the JSON files beside this one."""
