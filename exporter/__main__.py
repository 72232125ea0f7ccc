"""The entry point, `directmail-exporter` and `python -m exporter`: signals first, then everything else."""

from exporter.process import signals


def main() -> None:
    """Run the program. The imports that take time come after the signals have their handlers."""
    signals.install()
    from exporter.commands import main as command_line

    try:
        command_line.main()
    finally:
        signals.ignore()


if __name__ == "__main__":
    main()
