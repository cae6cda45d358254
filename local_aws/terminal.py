"""What ``make run`` shows: a step that is under way, what came of it, listings, addresses.

On a terminal a step has a live line; elsewhere each step is one plain line. NO_COLOR and the width of the terminal (or
COLUMNS) are respected: a listing that does not fit as a table is told entry by entry.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

PLAIN_WIDTH = 120  # of what is no terminal
NARROWEST = 24  # in which a table's last column can still be read


def make_console() -> Console:
    """Standard output, as far as it can show things."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # an old terminal without the signs shows ? in their place
    width = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else PLAIN_WIDTH
    return Console(highlight=False, width=width)


def plain(text: object) -> str:
    """Text without what would move a terminal's cursor."""
    return "".join(sign if sign.isprintable() else " " for sign in str(text))


@dataclass
class Step:
    """Something that takes a while.

    :param title: what it does
    :param said: how far it is
    :param ok: whether it went well, once it is over
    """

    title: str
    started: float
    clock: Callable[[], float]
    said: str = ""
    ok: bool = True

    def done(self, ok: bool, said: str) -> None:
        self.ok, self.said = ok, said

    def __rich__(self) -> Text:
        """The line while it is under way: it must stay one line."""
        text = Text(overflow="ellipsis", no_wrap=True)
        text.append(plain(self.title)).append(f"  {self.seconds:.0f} s", "dim")
        return text.append(f"  {plain(self.said)}" if self.said else "", "dim")

    @property
    def seconds(self) -> float:
        return self.clock() - self.started


@dataclass
class Steps:
    """The steps of a run, and how many there have been."""

    console: Console
    clock: Callable[[], float] = time.monotonic
    made: list[Step] = field(default_factory=list)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """A line that says what is going on, and in the end how it went and how long it took."""
        step = Step(title, self.clock(), self.clock)
        self.made.append(step)
        try:
            with self._live(step):
                yield step
        except Exception:
            step.ok = False
            self.console.print(self._line(step))
            raise
        self.console.print(self._line(step))

    def _live(self, step: Step) -> AbstractContextManager[Any]:
        if not self.console.is_interactive or self.console.is_dumb_terminal:
            return nullcontext()
        status = self.console.status("")
        status.renderable.text = step  # drawn anew with each frame
        return status

    def _line(self, step: Step) -> RenderableType:
        line = Table.grid(padding=(0, 1))
        line.add_column(no_wrap=True)
        line.add_column(overflow="fold")
        text = Text(plain(step.title)).append(f"  {step.seconds:.1f} s", "dim")
        if step.said:
            text.append(f"  {plain(step.said)}", "dim")
        line.add_row(Text("✓", "green") if step.ok else Text("✗", "red"), text)
        return line


@dataclass
class Listing:
    """Rows under a title.

    :param columns: their names; those of numbers begin with ``#``
    """

    title: str
    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)

    def show(self, console: Console) -> None:
        """As a table where all but the last column fit as they are, else entry by entry."""
        console.print()
        needed = sum(self._width(number) + 3 for number in range(len(self.columns) - 1)) + 4
        if needed + min(NARROWEST, self._width(len(self.columns) - 1)) <= console.width:
            console.print(self._table())
        else:
            self._entries(console)

    def _width(self, column: int) -> int:
        return max(cell_len(cell) for cell in (self.columns[column].lstrip("#"), *(row[column] for row in self.rows)))

    def _table(self) -> Table:
        table = Table(title=self.title, title_justify="left", title_style="bold")
        for number, column in enumerate(self.columns):
            last = number == len(self.columns) - 1
            table.add_column(
                column.lstrip("#"),
                justify="right" if column.startswith("#") else "left",
                no_wrap=not last,
                overflow="fold",
            )
        for row in self.rows:
            table.add_row(*(Text(plain(cell)) for cell in row))
        return table

    def _entries(self, console: Console) -> None:
        console.print(Text(self.title, "bold"))
        named = min(2, len(self.columns) - 1)  # so many columns say what an entry is about
        for row in self.rows:
            console.print(Text(f"• {'  '.join(map(plain, row[:named]))}"), soft_wrap=True)
            text = Text()
            for column, cell in zip(self.columns[named:], row[named:], strict=True):
                text.append(" · " if text else "").append(f"{column.lstrip('#')} ", "dim").append(plain(cell))
            entry = Table.grid(padding=(0, 1))
            entry.add_column(no_wrap=True)
            entry.add_column(overflow="fold")
            entry.add_row(" ", text)
            console.print(entry)


def addresses(console: Console, entries: Sequence[tuple[str, str, str]]) -> None:
    """Where to look next: a name, an address, a remark. An address is never broken, so that it can be clicked."""
    console.print()
    names = max(len(name) for name, _, _ in entries)
    fits = all(names + 2 + len(f"{address}  {remark}") <= console.width for _, address, remark in entries)
    for name, address, remark in entries:
        text = Text(f"{name:<{names}}  " if fits else f"{name}\n  ", "bold")
        text.append(address, "not bold cyan")
        if remark:
            text.append(f"  {remark}" if fits else f"\n  {remark}", "not bold")
        console.print(text, soft_wrap=True)
