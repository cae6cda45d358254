"""Log audit: AWS log pipelines that prove what they did. The DAGs are in dags/, the design in the README."""
