"""The config file: YAML as written, checked whole, to frozen values as run.

In comes a path; out come a `Config` and every problem with its place. No other package sees a dict.
"""
