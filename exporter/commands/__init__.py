"""The command line: a module for each command, helpers named after theirs, and the flags and exit statuses of all.

In come arguments and the environment; out go a running exporter, a report on stdout, or one line on stderr and a
status: 0 well, 1 for what cannot run, 2 for wrong flags. `main` is the entry point.
"""
