"""The process and its system: signals come in, lines on stderr and reports to systemd go out."""
