"""The benchmarks run, tiny: what they find is no test, but that they find anything is."""

from __future__ import annotations

import json

import pytest

from benchmarks import __main__ as bench
from benchmarks import concurrent_waits, end_seen, harness, parse, scanned, verification
from benchmarks.harness import PROJECT, Row

ROW = Row("waits", "9 s", "3 s (3×)", "≥ 2×", True, "a | b")


@pytest.mark.parametrize("kind", ["athena", "insights"])
def test_waits_of_both_sides_are_counted_and_weighed(kind):
    baseline, ours = concurrent_waits.compare(kind, count=5, seconds=8)
    assert baseline["waiting"] == ours["waiting"] == 5
    assert min(baseline["calls"], ours["calls"]) >= 1
    assert min(baseline["cpu"], ours["cpu"], baseline["memory"], ours["memory"]) > 0
    assert min(baseline["block"], ours["block"]) > 0


def test_the_clock_that_jumps_finds_the_end_of_every_job():
    rows = end_seen.run(jobs=3)
    assert len(rows) == len(end_seen.CLASSES) + 1
    duration, late, looks = end_seen.by_trigger(3000)
    assert (duration, looks > 10) == (3000, True)
    assert 0 <= late <= 31
    assert end_seen.fixed(5)(12) == (12, 3, 4)


def test_parsing_is_compared():
    [row] = parse.run(times=1)
    assert "9 DAGs" in row.what


def test_verification_counts_as_zcat_does():
    cpu, memory = verification.run(total=1 << 17, size=1 << 16)
    assert "zcat" in cpu.baseline
    assert memory.met


def test_a_days_checks_scan_their_windows_and_what_they_must():
    [row] = scanned.run(every=100)
    assert float(row.ours.split("×")[0]) == pytest.approx(5.0, abs=0.3)


def test_what_is_kept_becomes_the_readmes_table(tmp_path, monkeypatch):
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    harness.save("parse", [ROW, Row("x", "–", "1", "none", None)], 3.4)
    assert json.loads((tmp_path / "parse.json").read_text())["took_seconds"] == 3
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{bench.BEGIN}\nold\n{bench.END}\nafter\n")
    bench.write_readme(readme)
    text = readme.read_text()
    assert text.startswith(f"before\n{bench.BEGIN}\n| what |")
    assert "| waits (a \\| b) | 9 s | 3 s (3×) | ≥ 2× | met |" in text
    assert "Python 3." in text
    assert "`parse` (load" in text
    assert text.endswith(f"{bench.END}\nafter\n")
    assert "old" not in text


def test_a_readme_without_marks_is_left_alone(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("nothing")
    with pytest.raises(SystemExit, match="no lines"):
        bench.write_readme(readme)
    assert readme.read_text() == "nothing"


def test_an_unknown_benchmark_is_refused_by_name(capsys):
    with pytest.raises(SystemExit):
        bench.main(["prase"])
    assert "there is no benchmark prase" in capsys.readouterr().err


def test_the_readme_shows_what_is_kept():
    assert f"{bench.BEGIN}\n{bench.table()}\n{bench.END}" in (PROJECT / "README.md").read_text(encoding="utf-8")
