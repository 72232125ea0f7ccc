"""Error responses: HTTP status, Code and Message, as the API's documentation has them."""

from collections.abc import Mapping

from exporter.simulator.faults import Fault

_FLOW = (400, "Throttling.User", "Request was denied due to user flow control.")
_ERROR = (500, "InternalError", "The request processing has failed due to some unknown error.")
_UNAVAILABLE = (503, "ServiceUnavailable", "The request has failed due to a temporary failure of the server.")
_DENIED = {
    "AuthPrincipalType": "SubUser",
    "NoPermissionType": "ImplicitDeny",
    "PolicyType": "AccountLevelIdentityBasedPolicy",
}


class ApiError(Exception):
    """An error response of the API."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.status, self.code, self.message = status, code, message
        self.headers = dict(headers or {})

    def body(self, request_id: str, host: str, action: str) -> dict[str, object]:
        """Return the document that the response carries; `action` is the operation that was called."""
        body: dict[str, object] = {
            "Code": self.code,
            "Message": self.message,
            "RequestId": request_id,
            "HostId": host,
            "Recommend": f"https://example.com/troubleshoot?q={self.code}",
        }
        if self.code == "Forbidden.RAM":
            body["AccessDeniedDetail"] = {"AuthAction": f"dm:{action}", **_DENIED}
        return body


def throttled(headers: Mapping[str, str] | None = None) -> ApiError:
    """Return the response to one call too many."""
    return ApiError(*_FLOW, headers)


def of_fault(fault: Fault, authorization: str) -> ApiError | None:
    """Return the error response of a fault, None for one that corrupts a good response.

    `authorization` is the request's header, which a SignatureDoesNotMatch message repeats.
    """
    answers = {
        "throttle": _FLOW,
        "throttle_retry_after": _FLOW,
        "throttle_xml": _FLOW,
        "throttle_gbk": _FLOW,
        "error": _ERROR,
        "page_fails": _ERROR,
        "http_503": _UNAVAILABLE,
        "http_503_retry_after": _UNAVAILABLE,
        "invalid_key": (404, "InvalidAccessKeyId.NotFound", "Specified access key is not found."),
        "bad_signature": (400, "SignatureDoesNotMatch", f"Signature does not match for {authorization}"),
        "expired": (400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired."),
        "nonce": (400, "SignatureNonceUsed", "Specified signature nonce was used already."),
        "forbidden": (403, "Forbidden.RAM", "User not authorized to operate on the specified resource."),
        "page_size": (400, "InvalidParameter", "The specified parameter PageSize is not valid."),
        "unknown_sender": (404, "InvalidMailAddress.NotFound", "The specified mail address is not found."),
    }
    if fault.name not in answers:
        return None
    waits = {
        "throttle_retry_after": {"x-acs-retry-after": str(fault.retry_after)},
        "http_503_retry_after": {"Retry-After": str(-(-fault.retry_after // 1000))},
    }
    return ApiError(*answers[fault.name], waits.get(fault.name))
