-- CloudTrail's files as a trail puts them into S3: <location>/<account>/CloudTrail/<region>/<yyyy>/<MM>/<dd>/...,
-- location being the AWSLogs folder (of an organization's trail: AWSLogs/<organization id>).
--
-- Athena works out the partitions (partition projection), so none is ever added or missed:
-- account and region are exactly those that the settings watch: no query needs to name them, and whatever else the
-- bucket holds is not read. To ask for another one gives no rows, in silence; the settings are where to add it.
-- day is the UTC day in which a file was published, which may be later than that of the events in it. Days after today
-- have no partition and give no rows, which is right: nothing is published in them yet.
--
-- The columns are those that AWS documents, but for webIdFederationData, which no audit needs. The JSON of
-- requestparameters, responseelements and additionaleventdata is kept as text, since each call has its own.
-- log_audit.definition tells athena_tables whether the table is this one, or one of before.
-- https://docs.aws.amazon.com/athena/latest/ug/create-cloudtrail-table-partition-projection.html
-- https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
CREATE EXTERNAL TABLE IF NOT EXISTS cloudtrail (
  eventversion string,
  useridentity struct<
    type:string,
    principalid:string,
    arn:string,
    accountid:string,
    invokedby:string,
    accesskeyid:string,
    username:string,
    onbehalfof:struct<userid:string, identitystorearn:string>,
    sessioncontext:struct<
      attributes:struct<mfaauthenticated:string, creationdate:string>,
      sessionissuer:struct<type:string, principalid:string, arn:string, accountid:string, username:string>,
      ec2roledelivery:string
    >
  >,
  eventtime string,
  eventsource string,
  eventname string,
  awsregion string,
  sourceipaddress string,
  useragent string,
  errorcode string,
  errormessage string,
  requestparameters string,
  responseelements string,
  additionaleventdata string,
  requestid string,
  eventid string,
  readonly string,
  resources array<struct<arn:string, accountid:string, type:string>>,
  eventtype string,
  apiversion string,
  recipientaccountid string,
  serviceeventdetails string,
  sharedeventid string,
  vpcendpointid string,
  vpcendpointaccountid string,
  eventcategory string,
  addendum struct<reason:string, updatedfields:string, originalrequestid:string, originaleventid:string>,
  sessioncredentialfromconsole string,
  edgedevicedetails string,
  tlsdetails struct<tlsversion:string, ciphersuite:string, clientprovidedhostheader:string>
)
PARTITIONED BY (account string, region string, day string)
ROW FORMAT SERDE 'org.apache.hive.hcatalog.data.JsonSerDe'
STORED AS INPUTFORMAT 'com.amazon.emr.cloudtrail.CloudTrailInputFormat'
OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
LOCATION '{{ params.location }}/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.account.type' = 'enum',
  'projection.account.values' = '{{ params.accounts }}',
  'projection.region.type' = 'enum',
  'projection.region.values' = '{{ params.regions }}',
  'projection.day.type' = 'date',
  'projection.day.format' = 'yyyy/MM/dd',
  'projection.day.range' = '2014/01/01,NOW',
  'projection.day.interval' = '1',
  'projection.day.interval.unit' = 'DAYS',
  'storage.location.template' = '{{ params.location }}/${account}/CloudTrail/${region}/${day}/',
  'log_audit.definition' = '{{ params.definition }}'
)
