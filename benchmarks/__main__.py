"""`python -m benchmarks`: every figure, one line each."""

import asyncio

from benchmarks import calls


def main() -> None:
    """Print the figures."""
    print(asyncio.run(calls.cpu_per_call()), flush=True)


main()
