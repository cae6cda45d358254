"""The page "Log audit" inside Airflow's UI.

``facts`` reads Airflow's metadata database, ``manifests`` the archive; ``archive_grid``, ``audit_grid``, ``strips`` and
``found`` decide what it means, without Airflow; ``app`` serves it to whom Airflow lets see it; ``static`` shows it.
"""
