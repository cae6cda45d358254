-- events: the records of CloudTrail whose eventtime lies in the window, each once.
-- WITH {{ cloudtrail_events }} SELECT ... FROM events ..., or with more CTEs behind a comma. It is pasted on one line
-- without the lines that begin with two dashes, so a comment must stand on a line of its own, at its very beginning.
--
-- A file is kept under the day in which it was published, so the days of the window and one more are read; what is
-- delivered later still is not seen. The condition on day stands right at the table, or Athena would read every day
-- there is. None is needed on account and region: the table has just those that are watched.
--
-- A record can be delivered more than once: of those with one eventid the first published counts. One without an
-- eventid counts each time it is there. One whose time cannot be read counts as of the beginning of the day it was
-- published in: in one window, and not in none.
--
-- What the columns tell beside CloudTrail's own, errorcode and errormessage being NULL where they are empty:
-- identity     the kind of caller: Root, IAMUser, AssumedRole, FederatedUser, AWSService, ... or Unknown
-- who          the role, user or service that called, never NULL
-- role         the role whose session it was; NULL where it was none
-- session      the session's name, which may tell the person behind a role
-- issuer_type  what temporary credentials were made from: Role, IAMUser or Root
-- temporary    whether it was a session of a role or of a federated user, with temporary credentials. sessionContext
--              alone does not say so, and CloudTrail may write an empty sessionIssuer: it must name somebody
-- by_service   the AWS service that made the call, on its own or for the caller; no where there was none
-- failed       whether the call failed; either of errorcode and errormessage may be NULL then
-- resource     what the request names: a job definition, workflow, queue, ... NULL where it names nothing known here
-- https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
events AS (
  SELECT
    account, region, eventtime, eventid, eventsource, eventname, sourceipaddress, useragent, requestparameters,
    nullif(errorcode, '') AS errorcode,
    nullif(errormessage, '') AS errormessage,
    coalesce(nullif(errorcode, ''), nullif(errormessage, '')) IS NOT NULL AS failed,
    identity,
    CASE WHEN identity = 'Root' THEN 'root' ELSE coalesce(
      role, nullif(useridentity.username, ''), nullif(useridentity.arn, ''), useridentity.onbehalfof.userid,
      nullif(useridentity.invokedby, ''), nullif(useridentity.accountid, ''), nullif(useridentity.principalid, ''),
      'unknown'
    ) END AS who,
    role,
    regexp_extract(useridentity.arn, ':assumed-role/[^/]+/(.+)$', 1) AS session,
    useridentity.sessioncontext.sessionissuer.type AS issuer_type,
    useridentity.accesskeyid AS accesskeyid,
    coalesce(
      nullif(useridentity.sessioncontext.sessionissuer.username, ''),
      nullif(useridentity.sessioncontext.sessionissuer.arn, ''),
      nullif(useridentity.sessioncontext.sessionissuer.principalid, '')
    ) IS NOT NULL AS temporary,
    CASE
      WHEN nullif(useridentity.invokedby, '') IS NOT NULL THEN useridentity.invokedby
      WHEN identity = 'AWSService' THEN coalesce(nullif(sourceipaddress, ''), 'unknown')
      ELSE 'no'
    END AS by_service,
    coalesce(
      json_extract_scalar(requestparameters, '$.stateMachineArn'),
      json_extract_scalar(requestparameters, '$.taskDefinition'),
      json_extract_scalar(requestparameters, '$.jobDefinition'),
      json_extract_scalar(requestparameters, '$.jobDefinitionName'),
      json_extract_scalar(requestparameters, '$.computeEnvironment'),
      json_extract_scalar(requestparameters, '$.computeEnvironmentName'),
      json_extract_scalar(requestparameters, '$.quotaShareArn'),
      json_extract_scalar(requestparameters, '$.quotaShareName'),
      json_extract_scalar(requestparameters, '$.jobQueue'),
      json_extract_scalar(requestparameters, '$.jobQueueName'),
      json_extract_scalar(requestparameters, '$.consumableResource'),
      json_extract_scalar(requestparameters, '$.consumableResourceName'),
      json_extract_scalar(requestparameters, '$.serviceEnvironment'),
      json_extract_scalar(requestparameters, '$.serviceEnvironmentName'),
      json_extract_scalar(requestparameters, '$.resourceArn'),
      json_extract_scalar(requestparameters, '$.arn'),
      json_extract_scalar(requestparameters, '$.jobName'),
      json_extract_scalar(requestparameters, '$.projectName'),
      json_extract_scalar(requestparameters, '$.pipelineName'),
      json_extract_scalar(requestparameters, '$.functionName'),
      json_extract_scalar(requestparameters, '$.documentName'),
      json_extract_scalar(requestparameters, '$.service'),
      json_extract_scalar(requestparameters, '$.dBInstanceIdentifier'),
      json_extract_scalar(requestparameters, '$.dBClusterIdentifier'),
      json_extract_scalar(requestparameters, '$.clusterIdentifier'),
      json_extract_scalar(requestparameters, '$.autoScalingGroupName'),
      json_extract_scalar(requestparameters, '$.instancesSet.items[0].instanceId'),
      json_extract_scalar(requestparameters, '$.name')
    ) AS resource
  FROM (
    SELECT
      *,
      coalesce(nullif(useridentity.type, ''), 'Unknown') AS identity,
      coalesce(
        CASE WHEN coalesce(useridentity.sessioncontext.sessionissuer.type, 'Role') = 'Role'
          THEN nullif(useridentity.sessioncontext.sessionissuer.username, '') END,
        regexp_extract(useridentity.arn, ':assumed-role/([^/]+)', 1)
      ) AS role,
      row_number() OVER (PARTITION BY eventid ORDER BY day, account, region, eventtime, requestid) AS copy_number
    FROM (
      SELECT
        *,
        CASE
          WHEN regexp_like(eventtime, '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?Z$')
            THEN substr(eventtime, 1, 19) || 'Z'
          ELSE replace(day, '/', '-') || 'T00:00:00Z'
        END AS happened
      FROM cloudtrail
      WHERE day BETWEEN :first_day AND :last_day
    ) AS published
    WHERE happened >= :window_start AND happened < :window_end
  ) AS happenings
  WHERE copy_number = 1 OR nullif(eventid, '') IS NULL
)
