"""Naming the action of a request."""

import pytest

from local_aws.actions import refusal
from local_aws.naming import name_call


def environ(method: str, path: str, query: str = "", **headers: str) -> dict[str, str]:
    scope = "AWS4-HMAC-SHA256 Credential=test/20260301/ap-northeast-1/{}/aws4_request, SignedHeaders=host"
    service = headers.pop("service", "s3")
    return {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "HTTP_AUTHORIZATION": scope.format(service),
        **headers,
    }


@pytest.mark.parametrize(
    ("method", "path", "query", "action"),
    [
        ("GET", "/", "", "ListBuckets"),
        ("PUT", "/b", "", "CreateBucket"),
        ("HEAD", "/b", "", "HeadBucket"),
        ("DELETE", "/b/", "", "DeleteBucket"),
        ("GET", "/b", "location", "GetBucketLocation"),
        ("GET", "/b", "acl", "GetBucketAcl"),
        ("PUT", "/b", "policy", "PutBucketPolicy"),
        ("GET", "/b", "list-type=2&prefix=x", "ListObjectsV2"),
        ("GET", "/b", "prefix=x", "ListObjects"),
        ("POST", "/b", "delete", "DeleteObjects"),
        ("GET", "/b/k/with/slashes", "", "GetObject"),
        ("HEAD", "/b/k", "versionId=1", "HeadObject"),
        ("PUT", "/b/k", "", "PutObject"),
        ("PUT", "/b/k", "partNumber=1&uploadId=u", "UploadPart"),
        ("POST", "/b/k", "uploads", "CreateMultipartUpload"),
        ("POST", "/b/k", "uploadId=u", "CompleteMultipartUpload"),
        ("DELETE", "/b/k", "uploadId=u", "AbortMultipartUpload"),
        ("GET", "/b/k", "tagging", "GetObjectTagging"),
    ],
)
def test_s3(method: str, path: str, query: str, action: str) -> None:
    assert name_call(environ(method, path, query), b"").name == f"s3.{action}"


def test_a_header_makes_a_put_a_copy() -> None:
    assert name_call(environ("PUT", "/b/k", HTTP_X_AMZ_COPY_SOURCE="b/other"), b"").action == "CopyObject"


def test_json_target() -> None:
    call = name_call(
        environ("POST", "/", service="logs", HTTP_X_AMZ_TARGET="Logs_20140328.CreateExportTask"), b'{"from": 1}'
    )
    assert (call.name, call.region, call.parameters) == ("logs.CreateExportTask", "ap-northeast-1", {"from": 1})


def test_form_action() -> None:
    form = environ("POST", "/", service="sts", CONTENT_TYPE="application/x-www-form-urlencoded; charset=utf-8")
    assert name_call(form, b"Action=GetCallerIdentity&Version=2011-06-15").name == "sts.GetCallerIdentity"


def test_rest_json_by_model() -> None:
    assert name_call(environ("POST", "/v1/submitjob", service="batch"), b"{}").name == "batch.SubmitJob"


@pytest.mark.parametrize("path", ["/moto-api/reset", "/latest/meta-data/iam", "/v20180820/bucket"])
def test_motos_own_paths_are_no_buckets(path: str) -> None:
    assert refusal(name_call(environ("GET", path), b"").name, {})


def test_unsigned_requests_are_refused() -> None:
    call = name_call({"REQUEST_METHOD": "GET", "PATH_INFO": "/b/k"}, b"")
    assert call.service == "unsigned"
    assert refusal(call.name, call.parameters)
