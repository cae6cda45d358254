"""``make bench``, ``make bench ONLY=name``: run benchmarks, print their table, and keep it in benchmarks/results/.

The README's table is made of all results that are kept; ``--readme`` writes it anew without running anything.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import concurrent_waits, end_seen, parse, real, scanned, targets, verification
from benchmarks.harness import PROJECT, Row, load, save

BENCHMARKS: dict[str, Callable[[], list[Row]]] = {
    "athena_waits": concurrent_waits.athena,
    "insights_waits": concurrent_waits.insights,
    "end_seen": end_seen.run,
    "parse": parse.run,
    "idle_run": real.idle_run,
    "verification": verification.run,
    "backfill": real.backfill,
    "bytes_scanned": lambda: [*scanned.audits(), *scanned.run()],
    "targets": targets.run,
    "deliveries": real.deliveries,
}
BEGIN, END = "<!-- make bench writes from here -->", "<!-- to here -->"


def table(names: Sequence[str] = (*BENCHMARKS,)) -> str:
    """What is kept of these benchmarks, as Markdown, with the machines that it was measured on."""
    found = {name: kept for name in names if (kept := load(name))}
    lines = ["| what | baseline | ours | goal | |", "|---|---|---|---|---|"]
    for _, rows in found.values():
        lines += [_line(row) for row in rows]
    return "\n".join([*lines, "", *_machines(found)])


def _line(row: Row) -> str:
    told = f"{row.what} ({row.note})" if row.note else row.what
    cells = [cell.replace("|", r"\|") for cell in (told, row.baseline, row.ours, row.goal, row.verdict)]
    return f"| {' | '.join(cells)} |"


def _machines(found: dict[str, tuple[dict[str, str], list[Row]]]) -> Iterator[str]:
    of: dict[str, list[str]] = {}
    for name, (machine, _) in found.items():
        place = "; ".join(machine[key] for key in ("cpu", "memory", "system", "day"))
        of.setdefault(place, []).append(f"`{name}` (load {machine['load'].split()[0]})")
    for place, names in of.items():
        yield f"Measured on {place}, of other work too: {', '.join(names)}."


def write_readme(file: Path = PROJECT / "README.md") -> None:
    """Put the table between its two marks."""
    before, _, rest = file.read_text(encoding="utf-8").partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{file} has no lines {BEGIN} and {END} to write the table between")
    file.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")


def main(words: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks")
    parser.add_argument("only", nargs="*", metavar="name", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--readme", action="store_true", help="only write what is kept into the README")
    given = parser.parse_args(words)
    if unknown := sorted({*given.only} - {*BENCHMARKS}):
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}")
    for name in () if given.readme else given.only or BENCHMARKS:
        print(f"{name} ...", flush=True)
        began = time.monotonic()
        save(name, BENCHMARKS[name](), time.monotonic() - began)
    write_readme()
    print(table(given.only or (*BENCHMARKS,)))


if __name__ == "__main__":
    main(sys.argv[1:])
