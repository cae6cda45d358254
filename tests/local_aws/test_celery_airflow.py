"""What make test-celery runs is what docker-compose.yaml runs."""

import json

import yaml

from local_aws.airflow import PROJECT
from local_aws.celery_airflow import celery_configuration
from local_aws.services import Services

CELERY, SIZE = "AIRFLOW__CELERY__EXTRA_CELERY_CONFIG", "AIRFLOW__CELERY__WORKER_CONCURRENCY"


def test_celery_has_the_settings_of_docker_compose_but_for_addresses_and_size(tmp_path):
    theirs = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text())["x-airflow-env"]
    ours = celery_configuration(Services(tmp_path))
    assert {key for key in theirs if "CELERY" in key or "WORKERS" in key} <= set(ours)
    assert set(ours) <= set(theirs)
    names_the_worker = {"result_extended": True}
    assert json.loads(ours[CELERY]) == json.loads(theirs[CELERY]) | names_the_worker

    def meaning(settings):
        return {key: settings[key].partition("://")[0] for key in set(ours) - {CELERY, SIZE}}

    assert meaning(ours) == meaning(theirs)
