"""
### Athena tables: the database and tables that the audits read

**When** by hand: once for a new account, and after a change of `include/sql/tables/` or of the locations in
`include/settings.yaml`.

**What** one task a target and table. A table that is as its file says is left alone; another one is dropped and made
anew. The tables are external, so no data is touched, and partitions are projected: none must ever be added. Run it as
often as you like.

**When it is red** Athena's words are in the red task's last lines: most often the workgroup has no result location, or
the role lacks permissions on Glue.
"""

from datetime import timedelta

from airflow.sdk import DAG

from log_audit import forms
from log_audit.callbacks import overdue_after, report_failed_run
from log_audit.defaults import DEFAULT_ARGS
from log_audit.links.owner import owner_links
from log_audit.operators.athena_tables import AthenaTableOperator, tables
from log_audit.settings import load_settings

settings = load_settings()

with DAG(
    "athena_tables",
    schedule=None,
    catchup=False,
    max_active_runs=1,  # two runs would make the same tables
    default_args=DEFAULT_ARGS,
    on_failure_callback=report_failed_run,
    deadline=overdue_after(timedelta(minutes=30)),
    params={**forms.targets(settings.targets), **forms.dry_run("which tables would be made")},
    owner_links=owner_links(settings.owner_link),
    doc_md=__doc__,
    tags=["log-audit", "tables"],
):
    AthenaTableOperator.partial(
        task_id="table",
        task_display_name="Make the table",
        doc_md="Makes a database and a table in it, unless the table is there as its file says.",
        map_index_template="{{ task.name }}",
    ).expand_kwargs(tables(settings))
