"""`python -m exporter` is `directmail-exporter`."""

from exporter.cli import main

if __name__ == "__main__":
    main()
