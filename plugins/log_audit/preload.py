"""What every task imports, imported once, by the process that tasks are forked from.

A task is a process of its own. One that imports Airflow's parser, boto3 and our operators for itself takes most of a
second of CPU before it does anything. Two settings have it done beforehand:

- ``[scheduler] mp_start_method = forkserver`` and ``mp_forkserver_preload = airflow,log_audit.preload`` for the
  LocalExecutor
- ``imports`` in ``[celery] extra_celery_config`` for Celery's workers

What is imported stays as it was: restart the workers after a change of ``plugins/``. DAGs, queries and settings are
read anew by each task.

https://airflow.apache.org/docs/apache-airflow/stable/configurations-ref.html#mp-forkserver-preload
https://docs.celeryq.dev/en/stable/userguide/configuration.html#imports
"""

# ruff: noqa: F401
import airflow.dag_processing.dagbag
import airflow.executors.local_executor
import airflow.sdk.definitions.decorators
import airflow.sdk.execution_time.supervisor
import airflow.sdk.execution_time.task_runner

import log_audit.callbacks
import log_audit.links.owner
import log_audit.operators.athena
import log_audit.operators.athena_tables
import log_audit.operators.cloudtrail
import log_audit.operators.ecs
import log_audit.operators.logs
import log_audit.operators.manifest
import log_audit.operators.replay
import log_audit.sensors.ecs
import log_audit.tasks
