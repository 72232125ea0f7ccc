"""The dashboards: `python -m tools.boards.build` writes them to grafana/, deploy/grafana and deploy/perses."""
