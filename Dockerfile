# The image of every Airflow service: dependencies of constraints.txt, and the code. docker-compose.yaml builds it.
FROM apache/airflow:3.3.2 AS production
WORKDIR /opt/airflow
COPY requirements.txt requirements-stack.txt constraints.txt requirements/
# First the pip of constraints.txt: an old one (23, for one) does not find the hashes there of packages with extras.
RUN sed -n '/^pip==/,/[^\\]$/p' requirements/constraints.txt >/tmp/pip.txt \
    && pip install --no-cache-dir --require-hashes -r /tmp/pip.txt \
    && pip install --no-cache-dir --require-hashes -r requirements/requirements.txt \
    -r requirements/requirements-stack.txt -c requirements/constraints.txt
COPY plugins plugins
COPY include include
COPY dags dags
# Root owns the code: nothing that runs can change it, nor leave compiled files beside it.
USER root
RUN chown -R root:root dags plugins && chmod -R go-w dags plugins && python -m compileall -q plugins
USER airflow
ENV PYTHONPATH=/opt/airflow/plugins

# The stand-in for AWS and Slack, for the profile `local` alone; no service of production is made from it.
FROM production AS local
COPY requirements-dev.txt requirements/
RUN grep -E '^(moto|duckdb|sqlglot)\b' requirements/requirements-dev.txt >/tmp/local.txt \
    && pip install --no-cache-dir --require-hashes -r /tmp/local.txt -c requirements/constraints.txt
COPY local_aws local_aws
