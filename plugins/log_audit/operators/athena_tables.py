"""Athena's tables, made from ``include/sql/tables`` and kept as they are written there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.athena import AthenaOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk.exceptions import AirflowSkipException

from log_audit import forms
from log_audit.audits import athena_keywords
from log_audit.errors import TableError
from log_audit.hooks.athena import QueryHook
from log_audit.hooks.logs import error_code
from log_audit.settings import DEFAULT_FILE, Settings, Target

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.athena import AthenaHook
    from airflow.sdk import Context

FOLDER = DEFAULT_FILE.parent / "sql" / "tables"
DEFINITION = "log_audit.definition"  # the table's property that says which text made it


class AthenaTableOperator(AthenaOperator):
    """Make a database and a table in it, unless the table is there already as its file says.

    A table that another text of ours has made is dropped and made anew. It is external: no data is touched, but an
    audit in that moment fails, and must be cleared. A table that somebody else has made is left alone.

    :param file: the DDL, a Jinja template of the ``values``
    :param target: name of the target in the settings
    :param values: names from the settings, such as the location in S3
    :returns: ``unchanged``, ``created`` or ``replaced``; of a dry run what would be done
    :raises AirflowSkipException: the run was asked for other targets
    :raises TableError: there is a table of that name that we did not make

    https://docs.aws.amazon.com/athena/latest/ug/create-table.html
    """

    aws_hook_class = QueryHook
    template_fields = aws_template_fields("file", "values", "query", "database", "workgroup")
    template_ext = ()
    overwrite_rtif_after_execution = True
    ui_color = "#cfe3f0"

    def __init__(self, *, target: str, file: str, values: dict[str, str], **kwargs: Any) -> None:
        super().__init__(**{"query": "", "deferrable": False, "sleep_time": 1, "max_polling_attempts": 120, **kwargs})
        self.target = target
        self.file = file
        self.values = values

    def execute(self, context: Context) -> str:
        if not forms.is_wanted(context, "targets", self.target):
            raise AirflowSkipException(f"the run was asked for other targets than {self.target}")
        text, definition = read_table(self.file, self.values)
        found = definition_found(self.hook, self.database or "", self._table)
        if found == definition:
            self.log.info("%s.%s is as %s says", self.database, self._table, self.file)
            return "unchanged"
        if found == "":
            raise TableError(
                f"there is a table {self.database}.{self._table} that was not made from {self.file}; drop or rename "
                "it, or name another database in the settings' athena"
            )
        done = "created" if found is None else "replaced"
        if forms.is_dry_run(context):
            self.log.info("dry run: %s.%s would be %s", self.database, self._table, done)
            return f"would be {done}"
        database, self.database = self.database, None  # it may not be there yet
        self._run(context, f"CREATE DATABASE IF NOT EXISTS `{database}`")
        self.database = database
        if found is not None:
            self._run(context, f"DROP TABLE IF EXISTS `{self._table}`")
        self._run(context, text)
        return done

    @property
    def name(self) -> str:
        """What the grid calls the task."""
        return f"{self.database}.{self._table} in {self.region_name}"

    @property
    def _table(self) -> str:
        return Path(self.file).stem

    def _run(self, context: Context, query: str) -> None:
        self.query = query
        self.query_execution_context = {}  # the stock operator would keep the database of before
        super().execute(context)


def read_table(file: str | Path, values: Mapping[str, str]) -> tuple[str, str]:
    """The DDL, and what stands for it: a digest of all of it but the digest itself."""
    from jinja2 import StrictUndefined, Template

    template = Template(Path(file).read_text(encoding="utf-8"), undefined=StrictUndefined)
    text = template.render(params={**values, "definition": ""})
    definition = hashlib.sha256(text.encode()).hexdigest()[:16]
    whole = template.render(params={**values, "definition": definition})
    return "\n".join(line for line in whole.splitlines() if not line.startswith("--")), definition


def definition_found(hook: AthenaHook, database: str, table: str) -> str | None:
    """The definition that made the table there is, "" where none of ours did; None where there is no table."""
    try:
        answer = hook.conn.get_table_metadata(CatalogName="AwsDataCatalog", DatabaseName=database, TableName=table)
    except hook.conn.exceptions.ClientError as error:
        if error_code(error) == "MetadataException" and "NotFound" in str(error):
            return None
        raise
    return str(answer["TableMetadata"].get("Parameters", {}).get(DEFINITION, ""))


def values_of(target: Target) -> dict[str, dict[str, str]]:
    """What the DDL of each of a target's tables takes from the settings, by table."""
    found = {}
    if target.aurora:
        found["aurora_audit_log"] = {"location": target.aurora.location}
    if target.cloudtrail and target.cloudtrail.location:
        trail = target.cloudtrail
        lists = {"accounts": ",".join(trail.accounts), "regions": ",".join(trail.regions)}
        found["cloudtrail"] = {"location": target.cloudtrail.location, **lists}
    return found


def tables(settings: Settings) -> list[dict[str, Any]]:
    """Keywords for :class:`AthenaTableOperator`, one mapping a target and table."""
    return [
        {"target": name, "file": str(FOLDER / f"{table}.sql"), "values": values, **athena_keywords(target)}
        for name, target in settings.targets.items()
        for table, values in values_of(target).items()
    ]
