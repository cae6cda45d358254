"""CloudWatch Logs Insights queries, evaluated in plain Python for the stand-in for AWS.

What this package does not truly do it refuses with `MalformedQuery`: a query that answers with nothing
because a part of it was ignored is the worst thing a stand-in can do.

The language: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
"""

from local_aws.insights.model import Event, MalformedQuery, Result
from local_aws.insights.query import Query, compile_query

__all__ = ["Event", "MalformedQuery", "Query", "Result", "compile_query"]
