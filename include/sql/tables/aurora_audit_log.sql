-- Aurora MySQL's audit log as the shipping tasks put it into S3, one line an event:
-- <location>/<cluster>/<yyyy-MM-dd>/<HH>/..., day and hour in the business time zone.
--
-- Athena works out the partitions (partition projection), so none is ever added or missed:
-- cluster is injected: each query names its own, and a new cluster changes nothing here. With a list of clusters, one
-- that is not in it would give no rows, in silence.
-- day ends a day after today in UTC, since the business zone may be ahead of UTC.
--
-- A statement stands in single quotes, and those within it have a backslash. Every column is a string: OpenCSVSerde
-- gives '' for an empty field and NULL for one that a broken line lacks.
-- log_audit.definition tells athena_tables whether the table is this one, or one of before.
-- https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/AuroraMySQL.Auditing.html
-- https://docs.aws.amazon.com/athena/latest/ug/partition-projection-supported-types.html
CREATE EXTERNAL TABLE IF NOT EXISTS aurora_audit_log (
  `timestamp` string,
  serverhost string,
  username string,
  host string,
  connectionid string,
  queryid string,
  operation string,
  `database` string,
  object string,
  retcode string
)
PARTITIONED BY (cluster string, day string, hour string)
ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde'
WITH SERDEPROPERTIES ('separatorChar' = ',', 'quoteChar' = '\'', 'escapeChar' = '\\')
LOCATION '{{ params.location }}/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.cluster.type' = 'injected',
  'projection.day.type' = 'date',
  'projection.day.format' = 'yyyy-MM-dd',
  'projection.day.range' = '2020-01-01,NOW+1DAYS',
  'projection.hour.type' = 'integer',
  'projection.hour.range' = '0,23',
  'projection.hour.digits' = '2',
  'storage.location.template' = '{{ params.location }}/${cluster}/${day}/${hour}/',
  'log_audit.definition' = '{{ params.definition }}'
)
