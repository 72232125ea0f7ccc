"""The command line: one module a command, and the flags and exit statuses that they share.

In come arguments and the environment; out go a running exporter, a report on stdout, or one line on stderr and a
status: 0 well, 1 for what cannot run, 2 for wrong flags. `main` is the entry point.
"""
