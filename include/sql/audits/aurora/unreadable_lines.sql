-- title: Lines of Aurora's audit log that no audit can read
-- severity: low
-- description: |
--   Lines of the window that are not as Aurora writes them, so that the other audits cannot have judged them, by why:
--   fewer than ten fields (cut off, or a quote without an end), no time (not 16 digits: no line of this log, or its
--   beginning is lost), unknown operation (none of operations), fields out of place (connection, query or return code
--   is no number: a quote or comma too many), no statement (a QUERY without one, though MySQL did not say so: 1065).
--   lines is how many. The example shows no word of the line, which may be a statement's: example_length in characters,
--   the rest only of one that begins with a time of about that day. Times are in UTC, hours in the business time zone.
--   Empty lines are not told; nor is one that begins with a quote without an end, since Athena reads both alike.
-- runbook: |
--   1. Look into S3, at the window's day and example_hour: which object are they in, and is every line of it like that?
--   2. All of it, or of all objects: what wrote it, and what was deployed before? Aurora writes no header and no quotes
--      but those around statements. unknown operation: a new version of Aurora may have one; add it to operations.
--   3. A few: the shipper cuts lines where its pieces of the log meet, or ends early. Ship the window again.
--   4. Once the lines are whole, audit the window again with the DAG aurora_replay.
-- false_positives: |
--   A user, table or database with a quote or comma in its name, and whatever else Aurora writes that AWS says nothing
--   about.
-- parameters:
--   operations: [CONNECT, FAILED_CONNECT, DISCONNECT, CHANGEUSER, PROXY_CONNECT, QUERY, READ, WRITE, CREATE, ALTER,
--     RENAME, DROP]

-- operations are AWS's list and those of the plugin server_audit that it leaves out.
-- https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/AuroraMySQL.Auditing.html
-- https://github.com/aws/audit-plugin-for-mysql
WITH lines AS (
  SELECT *
  FROM aurora_audit_log
  -- OpenCSVSerde makes a row of NULLs of an empty line, as a file may have at its end: nothing is lost with it.
  WHERE cluster = :cluster AND day = :day AND hour BETWEEN :first_hour AND :last_hour AND "timestamp" IS NOT NULL
), judged AS (
  SELECT
    hour, host, connectionid,
    length(concat_ws(',', "timestamp", serverhost, username, host, connectionid,
      queryid, operation, "database", object, retcode)) AS characters,
    try_cast(regexp_extract("timestamp", '^[0-9]{16}$') AS bigint) AS micros,
    to_unixtime(CAST(day AS timestamp)) * 1e6 AS day_micros,
    CASE
      WHEN retcode IS NULL THEN 'fewer than ten fields'
      WHEN NOT regexp_like("timestamp", '^[0-9]{16}$') THEN 'no time'
      WHEN NOT is_known THEN 'unknown operation'
      WHEN NOT regexp_like(concat_ws(',', connectionid, queryid, retcode), '^[0-9]+,[0-9]+,[0-9]*$')
        THEN 'fields out of place'
      WHEN operation = 'QUERY' AND object = '' AND retcode <> '1065' THEN 'no statement'
    END AS why
  FROM lines CROSS JOIN (VALUES true, false) AS operations(is_known)
  -- Of true and false each line keeps what is right of its operation, since Athena takes parameters in WHERE only.
  WHERE is_known = coalesce(contains(split(:operations, ','), operation), false)
), broken AS (
  SELECT
    why, hour, characters,
    CASE WHEN is_own THEN micros END AS own_micros,
    -- A statement's words may stand here too, where the rest of one line follows another's beginning: addresses only.
    CASE WHEN is_own AND regexp_like(connectionid, '^[0-9]{1,10}$') THEN regexp_extract(
      host, '^(localhost|[0-9]+(\.[0-9]+){3}|[0-9a-f]*:[0-9a-f:]*|ip(-[0-9]+){4}[a-z0-9.-]*)$'
    ) END AS own_host,
    CASE WHEN is_own THEN regexp_extract(connectionid, '^[0-9]{1,10}$') END AS own_connection
  -- Anything may begin with 16 digits, the number of a credit card too.
  FROM (SELECT *, coalesce(abs(micros - day_micros) < 3 * 86400 * 1e6, false) AS is_own FROM judged)
  WHERE why IS NOT NULL
), placed AS (
  SELECT
    *,
    count(*) OVER (PARTITION BY why) AS lines,
    row_number() OVER (
      PARTITION BY why ORDER BY own_micros NULLS LAST, own_host NULLS LAST, own_connection NULLS LAST, characters, hour
    ) AS place
  FROM broken
)
SELECT
  why,
  lines,
  hour AS example_hour,
  characters AS example_length,
  to_iso8601(from_unixtime(own_micros / 1e6)) AS example_time,
  own_host AS example_host,
  own_connection AS example_connection
FROM placed
WHERE place = 1
ORDER BY lines DESC, why
