"""Athena over HTTP for the tests: tables with data, and queries run to their end."""

import gzip
import json
import time
from dataclasses import dataclass
from typing import Any

BUCKET = "athena-test"
OUTPUT = f"s3://{BUCKET}/results/"
AUDIT_COLUMNS = (
    *("timestamp", "serverhost", "username", "host", "connectionid"),
    *("queryid", "operation", "database", "object", "retcode"),
)
AUDIT = f"""CREATE EXTERNAL TABLE IF NOT EXISTS logs.audit ({", ".join(f"`{name}` string" for name in AUDIT_COLUMNS)})
PARTITIONED BY (cluster string, day string)
ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde'
WITH SERDEPROPERTIES ('separatorChar' = ',', 'quoteChar' = '\\'', 'escapeChar' = '\\\\')
LOCATION 's3://{BUCKET}/audit/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.cluster.type' = 'enum', 'projection.cluster.values' = 'main,side',
  'projection.day.type' = 'date', 'projection.day.format' = 'yyyy/MM/dd', 'projection.day.range' = '2026/01/01,NOW',
  'storage.location.template' = 's3://{BUCKET}/audit/${{cluster}}/${{day}}/')"""
TRAIL = f"""CREATE EXTERNAL TABLE logs.trail (
  eventversion string, useridentity struct<type:string,principalid:string,arn:string,invokedby:string,
    sessioncontext:struct<attributes:struct<mfaauthenticated:string>,sessionissuer:struct<username:string>>>,
  eventtime string, eventsource string, eventname string, useragent string, errorcode string,
  requestparameters string, responseelements string, eventid string, readonly string,
  resources array<struct<arn:string,accountid:string,type:string>>)
PARTITIONED BY (account string, region string, day string)
ROW FORMAT SERDE 'org.apache.hive.hcatalog.data.JsonSerDe'
STORED AS INPUTFORMAT 'com.amazon.emr.cloudtrail.CloudTrailInputFormat'
OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
LOCATION 's3://{BUCKET}/AWSLogs/'
TBLPROPERTIES ('projection.enabled' = 'true',
  'projection.account.type' = 'enum', 'projection.account.values' = '111111111111,222222222222',
  'projection.region.type' = 'enum', 'projection.region.values' = 'ap-northeast-1',
  'projection.day.type' = 'date', 'projection.day.format' = 'yyyy/MM/dd',
  'projection.day.range' = '2020/01/01,NOW', 'projection.day.interval' = '1', 'projection.day.interval.unit' = 'DAYS',
  'storage.location.template' = 's3://{BUCKET}/AWSLogs/${{account}}/CloudTrail/${{region}}/${{day}}/')"""


@dataclass
class Athena:
    """Athena and S3 of the stand-in."""

    athena: Any
    s3: Any

    def put(self, key: str, content: bytes | str) -> None:
        """Store an object; one whose key ends in .gz is packed."""
        data = content.encode() if isinstance(content, str) else content
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=gzip.compress(data, 1) if key.endswith(".gz") else data)

    def put_records(self, day: str, records: list[dict[str, Any]], account: str = "111111111111") -> None:
        """Store a CloudTrail file."""
        key = f"AWSLogs/{account}/CloudTrail/ap-northeast-1/{day}/{len(records)}-{time.time_ns()}.json.gz"
        self.put(key, json.dumps({"Records": records}))

    def start(self, text: str, *parameters: str, **changes: Any) -> str:
        """Start a query in database logs."""
        request: dict[str, Any] = {
            "QueryString": text,
            "QueryExecutionContext": {"Database": "logs"},
            "ResultConfiguration": {"OutputLocation": OUTPUT},
        }
        if parameters:
            request["ExecutionParameters"] = list(parameters)
        return str(self.athena.start_query_execution(**(request | changes))["QueryExecutionId"])

    def end(self, execution_id: str) -> dict[str, Any]:
        """The execution, once it has ended."""
        deadline, pause = time.monotonic() + 60, 0.01
        while time.monotonic() < deadline:
            found: dict[str, Any] = self.athena.get_query_execution(QueryExecutionId=execution_id)["QueryExecution"]
            if found["Status"]["State"] not in ("QUEUED", "RUNNING"):
                return found
            time.sleep(pause)
            # The stand-in may live in this process: asking all the time would slow it down.
            pause = min(pause * 1.5, 0.2)
        raise TimeoutError(execution_id)

    def run(self, text: str, *parameters: str, **changes: Any) -> dict[str, Any]:
        """Run a query to its end."""
        return self.end(self.start(text, *parameters, **changes))

    def failure(self, text: str, *parameters: str) -> str:
        """Why a query failed."""
        status = self.run(text, *parameters)["Status"]
        assert status["State"] == "FAILED", status
        return str(status["StateChangeReason"])

    def table(self, text: str, *parameters: str, **changes: Any) -> list[tuple[str | None, ...]]:
        """The rows that a query gives, the header first."""
        execution = self.run(text, *parameters, **changes)
        assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
        pages = self.athena.get_paginator("get_query_results").paginate(QueryExecutionId=execution["QueryExecutionId"])
        rows = [row["Data"] for page in pages for row in page["ResultSet"]["Rows"]]
        return [tuple(cell.get("VarCharValue") for cell in row) for row in rows]

    def rows(self, text: str, *parameters: str, **changes: Any) -> list[tuple[str | None, ...]]:
        """The rows without the header."""
        return self.table(text, *parameters, **changes)[1:]

    def value(self, expression: str) -> str | None:
        """What one expression gives."""
        ((value,),) = self.rows(f"SELECT {expression}")
        return value

    def scanned(self, text: str, *parameters: str) -> int:
        """The bytes that a query read."""
        execution = self.run(text, *parameters)
        assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
        return int(execution["Statistics"]["DataScannedInBytes"])
