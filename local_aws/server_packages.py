"""Where the programs of PostgreSQL and Redis come from: this machine, or else Debian's packages.

The packages are unpacked and not installed. That needs no root, changes nothing on the machine and starts no service,
and works the same on a laptop and in CI. What was downloaded is kept, so only the first time needs the network.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PACKAGES = {"postgres": "postgresql", "redis-server": "redis-server"}
# Debian keeps servers out of PATH, Fedora's PostgreSQL project likewise.
FOLDERS = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "usr/bin", "usr/sbin")
INSTALL = (
    "Install them: apt-get install postgresql redis-server (Debian, Ubuntu), "
    "dnf install postgresql-server redis (Fedora), brew install postgresql redis (macOS)"
)


class CannotGetServers(Exception):
    """The message says what is missing, and what to install."""


@dataclass(frozen=True)
class Machine:
    """Where to look for programs.

    :param root: the root of the file system
    :param path: as in the environment
    """

    root: Path = Path("/")
    path: str = field(default_factory=lambda: os.environ.get("PATH", ""))

    def find(self, name: str) -> Path | None:
        """A program, wherever it stands; of PostgreSQL the newest."""
        folders = [folder for pattern in FOLDERS for folder in self.root.glob(pattern)]
        on_path = shutil.which(name, path=self.path)
        found = [file for file in (folder / name for folder in folders) if file.exists()]
        return max([*([Path(on_path)] if on_path else []), *found], key=version, default=None)

    def needed(self, name: str) -> Path:
        """:raises CannotGetServers: it is not there"""
        if not (found := self.find(name)):
            raise CannotGetServers(f"the packages of Debian hold no {name} for {self.root}. {INSTALL}")
        return found


@dataclass(frozen=True)
class Programs:
    """The servers' programs, and the environment that they need.

    :param postgres: ``initdb`` stands beside it
    """

    postgres: Path
    redis: Path
    env: Mapping[str, str]


def get_programs(unpacked: Path, kept: Path, machine: Machine | None = None) -> Programs:
    """The programs of both servers; what the machine lacks is taken from packages.

    :param unpacked: a folder for what is taken from packages
    :param kept: a folder that keeps downloaded packages for the next time
    :raises CannotGetServers: with what to install
    """
    machine = machine or Machine()
    missing = [name for name in PACKAGES if not machine.find(name)]
    if missing:
        unpack(fetched(missing, kept, machine), unpacked)
    places = {name: Machine(unpacked, path="") if name in missing else machine for name in PACKAGES}
    # PATH may hold a link to one program of PostgreSQL alone; Redis' server is a link that must be called by its name.
    postgres, redis = places["postgres"].needed("postgres").resolve(), places["redis-server"].needed("redis-server")
    return Programs(postgres, redis, libraries(unpacked))


def version(program: Path) -> tuple[int, ...]:
    """What the program says; () if it says nothing."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    number = re.search(r"\d+(\.\d+)*", done.stdout)
    return tuple(map(int, number.group().split("."))) if number else ()


def libraries(unpacked: Path) -> dict[str, str]:
    """The environment in which programs find the libraries that were unpacked with them."""
    folders = [str(folder) for top in ("lib", "usr/lib") for folder in unpacked.glob(f"{top}/*-linux-gnu*")]
    return {"LD_LIBRARY_PATH": os.pathsep.join(folders)} if folders else {}


def fetched(programs: Iterable[str], kept: Path, machine: Machine) -> Path:
    """A folder with the packages of these programs and all that they need and the machine lacks."""
    folder = kept / "+".join(sorted(programs))
    if not folder.exists():
        kept.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept) as scratch:
            new = Path(scratch) / "packages"
            new.mkdir()
            Apt(Path(scratch), machine, f"{' and '.join(programs)} not found").fetch(programs, new)
            new.rename(folder)
    return folder


@dataclass(frozen=True)
class Apt:
    """apt with its lists in a folder of ours: whoever may not change the machine's can use it too.

    :param scratch: the folder
    :param why: why it is needed
    :ivar warnings: what it said so far: where the network is down, the update ends well, and knows no package
    """

    scratch: Path
    machine: Machine
    why: str
    warnings: list[str] = field(default_factory=list)

    def fetch(self, programs: Iterable[str], into: Path) -> None:
        self.run("apt-get", "update")
        names = {package for name in programs for package in self.packages(PACKAGES[name])}
        # In a simulation apt says what it would install beside them.
        plan = self.run("apt-get", "install", "--simulate", "--reinstall", "--no-install-recommends", *sorted(names))
        names |= set(re.findall(r"^Inst (\S+)", plan, re.M))
        self.run("apt-get", "download", *sorted(names), folder=into)

    def packages(self, name: str) -> set[str]:
        """The package, and the one of a version that it stands for, which need not be missing in apt's eyes."""
        said = self.run("apt-cache", "depends", name)
        return {name, *re.findall(rf"Depends: ({name}-\d+)$", said, re.M)}

    def run(self, program: str, *words: str, folder: Path | None = None) -> str:
        """:raises CannotGetServers: with apt's words"""
        found = shutil.which(program, path=self.machine.path)
        if not found:
            raise CannotGetServers(f"{self.why}, nor is {program}. {INSTALL}")
        for part in ("state/lists/partial", "cache/archives/partial"):
            (self.scratch / part).mkdir(parents=True, exist_ok=True)
        options = {
            "Dir::State": self.scratch / "state",
            "Dir::State::status": "/var/lib/dpkg/status",
            "Dir::Cache": self.scratch / "cache",
            "APT::Sandbox::User": "root",  # the user _apt cannot write here
            "Acquire::Retries": "2",
            "Acquire::http::Timeout": "30",
        }
        settings = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        env = {**os.environ, "LC_ALL": "C"}
        command = [found, *settings, *words]
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
        self.warnings.append(done.stderr)
        if done.returncode:
            said = " ".join(" ".join(self.warnings).split())[-600:].rstrip(".")
            raise CannotGetServers(f"{self.why}, and {program} {words[0]} failed: {said}. {INSTALL}")
        return done.stdout


def unpack(packages: Path, into: Path) -> None:
    """:raises subprocess.CalledProcessError: a package is damaged"""
    for package in sorted(packages.glob("*.deb")):
        subprocess.run(["dpkg-deb", "--extract", package, into], check=True)
