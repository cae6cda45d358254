"""Samples of queries: ``<folder>/<name>.yaml``, with cases that fire and cases that do not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from log_audit.query_file import QueryFile

Case = dict[str, Any]
FIRES, SILENT = "fires", "silent"


@dataclass(frozen=True)
class Samples:
    """The samples of a folder.

    :param names: of the queries there are
    :param known: what a case may say; one that fires also says ``findings`` and ``rows``
    """

    folder: Path
    names: list[str]
    known: set[str]

    def of(self, name: str) -> dict[str, list[Case]]:
        found: dict[str, list[Case]] = yaml.safe_load((self.folder / f"{name}.yaml").read_text(encoding="utf-8"))
        return found

    def first(self, name: str) -> Case:
        return self.of(name)[FIRES][0]

    def cases(self, kind: str) -> list[Any]:
        """The parameters of a test: a query's name and a case. A query without samples is another test's concern."""
        return [
            pytest.param(name, case, id=f"{name}: {case['name']}")
            for name in self.names
            if (self.folder / f"{name}.yaml").exists()
            for case in self.of(name)[kind]
        ]

    def check_all(self, name: str) -> list[Case]:
        """A query has samples of both kinds, which say nothing that nobody reads; they."""
        assert (self.folder / f"{name}.yaml").exists(), f"add {name}.yaml to {self.folder}"
        samples = self.of(name)
        assert set(samples) == {FIRES, SILENT}
        for kind, more in ((FIRES, {"findings", "rows"}), (SILENT, set[str]())):
            assert samples[kind], f"{name}.yaml has no case that {kind}"
            assert len({case["name"] for case in samples[kind]}) == len(samples[kind])
            for case in samples[kind]:
                assert set(case) <= self.known | more, case["name"]
                assert (case.get("findings", 0) > 0) == (kind == FIRES), case["name"]
                check_rows(case)
        return samples[FIRES] + samples[SILENT]

    def check_names(self) -> None:
        assert sorted(path.stem for path in self.folder.iterdir()) == self.names


def check_rows(case: Case) -> None:
    assert len(case.get("rows", [])) <= case.get("findings", 0), case["name"]
    for row in case.get("rows", []):
        assert all(isinstance(value, str | None) for value in row.values()), f"{case['name']}: put {row} in quotes"


def check_findings(rows: Iterable[Mapping[str, str | None]], case: Case, total: int | None = None) -> None:
    """The rows are those that the case expects, as far as it says.

    :param total: how many findings there are, where it is not one for each row
    """
    rows, expected = list(rows), case.get("rows", [])
    shown = [{column: row.get(column) for column in want} for row, want in zip(rows, expected, strict=False)]
    assert (len(rows) if total is None else total, shown) == (case["findings"], expected), rows


def check_header(query: QueryFile) -> None:
    """It tells a person what they need, on lines that fit."""
    assert query.description
    assert 2 <= len(query.runbook.splitlines()) <= 5
    assert query.false_positives
    lines = Path(query.path).read_text(encoding="utf-8").splitlines()
    # A regular expression of Insights cannot be broken; its header can.
    assert [line for line in lines if len(line) > 120 and (query.path.endswith(".sql") or line[0] == "#")] == []
