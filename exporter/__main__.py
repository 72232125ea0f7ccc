"""`python -m exporter` is `directmail-exporter`."""

from exporter.commands.main import main

if __name__ == "__main__":
    main()
