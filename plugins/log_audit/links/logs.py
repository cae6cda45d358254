"""Links from tasks to the archive and to Logs Insights."""

from __future__ import annotations

from urllib.parse import quote

from airflow.providers.amazon.aws.links.base_aws import BaseAwsLink

from log_audit.links.task_link import TaskLink


class ArchivePrefixLink(BaseAwsLink):
    """To the S3 prefix that holds a month of a log group."""

    name = "Archive in S3"
    key = "log_audit_archive_prefix"
    format_str = "https://{region_name}.console.{aws_domain}/s3/buckets/{bucket}?region={region_name}&prefix={prefix}/"

    def format_link(self, *, bucket: str = "", prefix: str = "", **kwargs: str) -> str:
        return super().format_link(bucket=quote(bucket), prefix=quote(prefix), **kwargs)


class InsightsLink(TaskLink):
    """To the query in CloudWatch's console, over the same log groups and span."""

    name = "Logs Insights"
