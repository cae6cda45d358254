"""Lines of Aurora's audit log for the samples: pure generation from a fixed seed.

https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/AuroraMySQL.Auditing.html
"""

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

from local_aws.samples import RHYTHM
from log_audit.window import EPOCH, Window

MICROSECOND = timedelta(microseconds=1)
SECOND = 1_000_000  # microseconds
# A statement's text, and what it does to which tables.
Statement = tuple[str, ...]
SHOP: list[Statement] = [
    ("SELECT id, status, total FROM orders WHERE customer_id = {n} ORDER BY id DESC LIMIT 20", "READ orders"),
    ("SELECT name, quantity FROM items JOIN stock USING (item_id) WHERE item_id = {n}", "READ items", "READ stock"),
    ("SELECT id, name, price FROM items WHERE name LIKE '%コーヒー豆%' AND size IN ('S', 'M', 'L')", "READ items"),
    ("INSERT INTO orders (customer_id, status, note) VALUES ({n}, 'NEW', '東京都港区へ、午前中に')", "WRITE orders"),
    ("UPDATE stock SET quantity = quantity - 1 WHERE item_id = {n} AND quantity > 0", "WRITE stock"),
    ("SET NAMES utf8mb4",),
    ("COMMIT",),
]
BATCH: list[Statement] = [
    ("INSERT INTO daily_sales SELECT day, SUM(total) FROM orders GROUP BY 1", "READ orders", "WRITE daily_sales"),
    ("SELECT item_id, quantity FROM stock WHERE quantity < 10 ORDER BY quantity, item_id", "READ stock"),
]
OFFICE: list[Statement] = [
    ("SELECT id, name FROM customers WHERE email = 'hanako@example.com'", "READ customers"),
    ("SELECT id, name FROM customers WHERE name IN ('山田 花子', 'Pat O''Brien') LIMIT 5", "READ customers"),
    ("UPDATE orders SET status = 'REFUNDED', note = '返品、不良品のため' WHERE id = {n}", "WRITE orders"),
]
# Aurora's own user, and its checks of the cluster's health.
RDSADMIN = "rdsadmin"
CHECKS: list[Statement] = [
    ("SELECT 1",),
    ("SELECT @@session.transaction_read_only",),
    ("SET SESSION wait_timeout = 28800",),
    ("COMMIT",),
]
CHECKS_AN_HOUR = 40
# Each user comes from the same few hosts, and from all of them in every hour: none is ever new.
USERS: dict[tuple[str, str], list[Statement]] = {
    ("shop_app", "192.0.2.11"): SHOP,
    ("shop_app", "192.0.2.12"): SHOP,
    ("shop_app", "192.0.2.13"): SHOP,
    ("shop_batch", "198.51.100.21"): BATCH,
    ("backoffice", "198.51.100.31"): OFFICE,
    ("backoffice", "198.51.100.32"): OFFICE,
}
SESSIONS = 24  # an hour, and more in a busy one
STRANGER = "203.0.113.66"
GUESSES = 12
TABLES = ("customers", "items", "orders", "payments", "stock")
# A new user with every right, a dump as mysqldump makes it, and backups that are gone.
MISDEEDS: list[Statement] = [
    ("GRANT ALL PRIVILEGES ON *.* TO 'helper'@'%' IDENTIFIED BY 'not-a-real-password'",),
    *((f"SELECT /*!40001 SQL_NO_CACHE */ * FROM `{table}`", f"READ {table}") for table in TABLES),  # noqa: S608 - log text
    *((f"DROP TABLE `{table}_backup`", f"DROP {table}_backup") for table in ("orders", "payments")),
]


def sample_lines(cluster: str, key: str, zone: ZoneInfo) -> list[str]:
    """One hour of a small shop's audit log, without harm in it; the same each time."""
    # Sample data, not a secret: it must be the same each time.
    dice = random.Random(f"{cluster} {key}")  # noqa: S311 - no secret
    start, length, connections = _hour(cluster, key, zone)
    noise = dice.choices(CHECKS, k=CHECKS_AN_HOUR)
    lines = _session(connections(RDSADMIN, "localhost"), start, length, noise, dice)
    more = dice.choices(list(USERS), k=SESSIONS - len(USERS) + RHYTHM[int(key[11:])])
    for user in [*USERS, *more]:
        lasts = dice.randrange(5 * SECOND, 300 * SECOND)
        statements = dice.choices(USERS[user], k=dice.randint(2, 4))
        lines += _session(connections(*user), start + dice.randrange(length - lasts), lasts, statements, dice)
    # Aurora does not write them in the order of their times.
    dice.shuffle(lines)
    return lines


def incident_lines(cluster: str, key: str, zone: ZoneInfo) -> list[str]:
    """What audits should find in an hour, to go with its `sample_lines`; the same each time.

    A stranger guesses the administrator's password, grants a new user everything, reads table after table and drops
    the backups.
    """
    dice = random.Random(f"incident {cluster} {key}")  # noqa: S311 - no secret
    start, _, connections = _hour(cluster, key, zone, first=80)
    at = start + dice.randrange(300 * SECOND, 2400 * SECOND)
    lines = []
    for _ in range(GUESSES):
        lines.append(connections("admin", STRANGER).line(at, "FAILED_CONNECT", code="1045"))
        at += dice.randrange(5 * SECOND, 9 * SECOND)
    return lines + _session(connections("admin", STRANGER), at, 300 * SECOND, MISDEEDS, dice)


def with_incident(cluster: str, key: str, zone: ZoneInfo) -> list[str]:
    """An hour in which something happened."""
    return [*sample_lines(cluster, key, zone), *incident_lines(cluster, key, zone)]


@dataclass(frozen=True)
class _Connection:
    """A connection to the cluster, and the lines of what is done through it; times in epoch microseconds."""

    cluster: str
    number: int
    user: str
    host: str

    @property
    def database(self) -> str:
        return "" if self.user == RDSADMIN else "shop"

    def line(
        self, at: int, operation: str, *, query: int = 0, database: str = "", what: str = "", code: str = "0"
    ) -> str:
        server = f"{self.cluster}-instance-1"
        fields = (at, server, self.user, self.host, self.number, query, operation, database, what, code)
        return ",".join(map(str, fields))

    def statement(self, at: int, n: int, text: str, touched: Sequence[str]) -> list[str]:
        """The line of the connection's n-th statement, and of each table it touches: those end without a code."""
        query = self.number * 100 + n
        quoted = "'" + text.replace("'", r"\'") + "'"
        lines = [self.line(at, "QUERY", query=query, database=self.database, what=quoted)]
        for operation, table in map(str.split, touched):
            lines.append(self.line(at, operation, query=query, database=self.database, what=table, code=""))
        return lines


def _session(
    connection: _Connection, start: int, lasts: int, statements: list[Statement], dice: random.Random
) -> list[str]:
    """A connection from its beginning to its end, with the statements in their order."""
    first, *moments, last = sorted(start + offset for offset in dice.sample(range(lasts), len(statements) + 2))
    lines = [connection.line(first, "CONNECT", database=connection.database)]
    for n, (at, (text, *touched)) in enumerate(zip(moments, statements, strict=True), 1):
        lines += connection.statement(at, n, text.format(n=dice.randint(1, 9999)), touched)
    return [*lines, connection.line(last, "DISCONNECT")]


def _hour(cluster: str, key: str, zone: ZoneInfo, first: int = 0) -> tuple[int, int, Callable[[str, str], _Connection]]:
    """The hour's start and length in microseconds, and what makes connections whose numbers no other hour has."""
    window = Window.hour(key, zone)
    numbers = itertools.count((window.start - EPOCH) // timedelta(hours=1) * 100 + first)
    start, end = ((bound - EPOCH) // MICROSECOND for bound in (window.start, window.end))
    return start, end - start, lambda user, host: _Connection(cluster, next(numbers), user, host)
