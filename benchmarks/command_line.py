"""Processor seconds that `podcast --help` takes, and that of the commands people type most. Prints one JSON object a line."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

REPEATS = 5
BARS_S = {"--help": 0.4, "import --help": 0.8, "export --help": 0.8, "tasks --help": 0.8}


def processor_s(words: str) -> float:
    """User and system time of one run, which other work on the machine stretches less than the clock's."""

    def children_s() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = children_s()
    command = [sys.executable, "-m", "cli.main", *words.split()]
    subprocess.run(command, cwd=Path(__file__).parents[1], stdout=subprocess.DEVNULL, check=True)
    return children_s() - before


def main() -> None:
    """The best of some runs each: the first may read the libraries from disk."""
    for words, bar in BARS_S.items():
        value = min(processor_s(words) for _ in range(REPEATS))
        print(
            json.dumps(
                {"name": f"podcast {words}, processor seconds", "value": round(value, 3), "bar": bar, "holds": value <= bar}
            )
        )


if __name__ == "__main__":
    main()
