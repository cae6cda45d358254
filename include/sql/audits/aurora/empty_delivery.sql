-- title: A delivery of Aurora's audit log holds nothing
-- severity: low
-- description: |
--   The partitions of the window hold no line at all: they are empty, or the data has not arrived. Aurora's own health
--   checks alone make many lines an hour, so no hour of a running cluster is empty.
-- runbook: |
--   1. Look into S3: are there objects under the cluster's folder, at this day and hour of the business time zone?
--   2. There are, elsewhere: compare the shipper's command, folder and ships in settings.yaml with where it writes.
--   3. There are none: read the log of the ECS task that shipped the window. Was the cluster stopped, or is
--      server_audit_logging off?
--   4. Once the data is there, audit the window again with the DAG aurora_replay.
-- false_positives: |
--   A cluster that was stopped for the whole window, and server_audit_excl_users with rdsadmin on a quiet cluster.

SELECT count(*) AS rows_scanned
FROM aurora_audit_log
WHERE cluster = :cluster AND day = :day AND hour BETWEEN :first_hour AND :last_hour
HAVING count(*) = 0
