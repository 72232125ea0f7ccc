"""Figures, each a ratio against something named, measured in one run. `make bench` prints them."""
