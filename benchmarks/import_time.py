"""How long `import rushlight` takes, beside `import numpy`, each in a fresh process.

    python benchmarks/import_time.py [--rounds 21]

The processes take turns. The time is that of the import statement alone, so starting Python is not in it; the files are in
the page cache and compiled to bytecode after the first round, which is not counted.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

LIBRARIES = ("rushlight", "numpy")
CODE = "from time import perf_counter as now; start = now(); import {}; print(now() - start)"


def main() -> None:
    parser = argparse.ArgumentParser(description="How long importing takes, beside NumPy.")
    parser.add_argument("--rounds", type=int, default=21, help="fresh processes for each library")
    rounds = parser.parse_args().rounds
    taken: dict[str, list[float]] = {library: [] for library in LIBRARIES}
    for turn in range(rounds + 1):
        for library in LIBRARIES if turn % 2 == 0 else LIBRARIES[::-1]:
            seconds = seconds_to_import(library)
            if turn > 0:
                taken[library].append(seconds)
    print_table({library: (statistics.median(times), min(times)) for library, times in taken.items()})


def seconds_to_import(library: str) -> float:
    done = subprocess.run([sys.executable, "-c", CODE.format(library)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return float(done.stdout)


def print_table(times: dict[str, tuple[float, float]]) -> None:
    print("| import | median ms | least ms | ratio of medians |")
    print("|---|---:|---:|---:|")
    for library, (middle, least) in times.items():
        print(f"| `{library}` | {middle * 1e3:.0f} | {least * 1e3:.0f} | {middle / times['numpy'][0]:.2f} |")


if __name__ == "__main__":
    main()
