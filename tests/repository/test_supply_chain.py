"""What `make setup` installs is what was locked, and what `make lint` lets pass: no secret, no unknown licence."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
LOCK = (PROJECT / "constraints.txt").read_text()
REQUIREMENTS = ("requirements.txt", "requirements-stack.txt", "requirements-dev.txt")
# Of no account and no workspace, and put together here so that the scanner does not find them in this file.
PLANTED = {
    "an AWS key": "AKIA" + "Z7QXK3LMN4PQRSTU",
    "a Slack token": "xoxb-" + "123456789012-123456789012-abcdefghijklmnopqrstuvwx",
    "a Slack webhook": "https://hooks.slack.com/" + "services/T00000000/B00000000/abcdefghijklmnopqrstuvwx",
    "a private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "a GitHub token": "ghp_" + "a1B2c3D4e5F6g7H8i9J0a1B2c3D4e5F6g7H8",
}


def locked():
    """Name to its versions and hashes."""
    found: dict[str, list[tuple[str, list[str]]]] = {}
    for entry in re.split(r"\n(?=\S)", LOCK.strip()):
        name, version = re.match(r"([A-Za-z0-9._-]+)==([^\s\\;]+)", entry).groups()
        found.setdefault(name.lower(), []).append((version, re.findall(r"--hash=sha256:([0-9a-f]{64})", entry)))
    return found


def test_every_locked_package_has_hashes():
    assert [name for name, versions in locked().items() for _, hashes in versions if not hashes] == []


@pytest.mark.parametrize("file", REQUIREMENTS)
def test_every_requirement_is_pinned_and_locked(file):
    lines = [line.split("#")[0].strip() for line in (PROJECT / file).read_text().splitlines()]
    for line in filter(None, lines):
        name, version = re.fullmatch(r"([A-Za-z0-9._-]+)(?:\[[a-z0-9,_-]+])?==(\S+)", line).groups()
        assert version in dict(locked()[name.lower().replace("_", "-")]), f"{file}: {line}: run make lock"


def wheel(folder: Path, text: str) -> Path:
    """A package of one module."""
    file = folder / "honest-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("honest.py", text)
        made.writestr("honest-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: honest\nVersion: 1.0\n")
        made.writestr("honest-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        made.writestr("honest-1.0.dist-info/RECORD", "")
    return file


def recipe(tool: str) -> list[str]:
    """How the Makefile has a package installed: its words after `install`, as they stand there."""
    words = {"uv": "uv pip install", "pip": "python -m pip install"}[tool]
    [line] = [text for text in (PROJECT / "Makefile").read_text().splitlines() if f"$(BIN)/{words} -q" in text
              and "uv.txt" not in text]  # fmt: skip
    return re.findall(r"--(?:require-hashes|no-deps)", line)


@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_a_package_that_was_changed_since_it_was_locked_stops_the_setup(tool, tmp_path):
    good = hashlib.sha256(wheel(tmp_path, "x = 1").read_bytes()).hexdigest()
    lock = tmp_path / "lock.txt"
    lock.write_text(f"honest==1.0 \\\n    --hash=sha256:{good}\n")
    assert install(tool, tmp_path, lock).returncode == 0
    wheel(tmp_path, "x = 'somebody else'")
    done = install(tool, tmp_path, lock)
    assert done.returncode != 0
    assert re.search(r"DO NOT MATCH THE HASHES|Hash mismatch", done.stderr)


def install(tool: str, folder: Path, lock: Path) -> subprocess.CompletedProcess[str]:
    shutil.rmtree(folder / "to", ignore_errors=True)
    start = [str(BIN / "uv"), "pip", "install"] if tool == "uv" else [sys.executable, "-m", "pip", "install"]
    where = ["--no-index", "--find-links", str(folder), "--target", str(folder / "to"), "-r", str(lock)]
    command = [*start, *recipe(tool), *where, *(["--no-cache"] if tool == "uv" else ["--no-cache-dir"])]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


@pytest.fixture
def repository(tmp_path):
    """A repository with the project's checks in it."""
    for file in ("Makefile", "pyproject.toml", *REQUIREMENTS, "constraints.txt"):
        shutil.copy(PROJECT / file, tmp_path)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/fine.py").write_text("password = 'planted: hunter2'\n")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    return tmp_path


def scan(repository: Path) -> subprocess.CompletedProcess[str]:
    """`make secrets`, with the environment that this test runs in, but for what a make above it left there."""
    env = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}
    env |= {"GIT_CEILING_DIRECTORIES": str(repository.parent)}
    command = ["make", "-o", ".venv/.ready", "secrets", f"BIN={BIN}"]
    return subprocess.run(command, cwd=repository, env=env, capture_output=True, text=True, check=False)


def test_a_repository_without_secrets_passes(repository):
    done = scan(repository)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "secrets: none"), done.stdout


@pytest.mark.parametrize("place", ["notes.md", "tests/test_x.py"])
@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_secret_fails_the_lint(what, place, repository):
    (repository / place).write_text(f'x = "{PLANTED[what]}"\n')
    done = scan(repository)
    assert done.returncode != 0
    assert place in done.stdout


def test_a_password_in_the_code_fails_the_lint_and_one_in_a_test_does_not(repository):
    (repository / "tests/test_x.py").write_text('password = "s3cr3t-Passw0rd"\n')
    assert scan(repository).returncode == 0
    (repository / "code.py").write_text('password = "s3cr3t-Passw0rd"\n')
    assert scan(repository).returncode != 0


def test_a_checkout_without_git_fails_rather_than_passes(repository):
    shutil.rmtree(repository / ".git")
    assert scan(repository).returncode != 0


@pytest.mark.parametrize(
    ("named", "passes"), [("MIT", True), ("GPL-3.0-only", False), ("UNKNOWN", False), ("Proprietary", False)]
)
def test_a_licence_that_nobody_allowed_fails_the_lint(named, passes, tmp_path):
    info = tmp_path / "newcomer-1.0.dist-info"
    info.mkdir()
    licence = "" if named == "UNKNOWN" else f"License-Expression: {named}\n"
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: newcomer\nVersion: 1.0\n{licence}")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [str(BIN / "pip-licenses")], cwd=PROJECT, env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == passes
    assert passes or "newcomer" in done.stderr
