"""The errors of the API client, sorted by what the caller must do.

    DirectMailError
    ├── Rejected              tell a human; the same request would be rejected again
    │   ├── AuthError             reason "auth": the key, the signature or the date
    │   │   └── NonceUsed             worth a retry all the same, with a fresh nonce
    │   ├── PermissionDenied      reason "permission": the RAM policy
    │   └── InvalidRequest        reason "invalid_request": the request itself
    ├── Transient             try again later
    │   ├── Throttled             reason "throttled": wait first, `retry_after` seconds where the API says so
    │   ├── ServerError           reason "server"
    │   ├── NetworkError          reason "network"
    │   └── RequestTimeout        reason "timeout"
    └── ParseError            reason "parse": an invalid response; retried at the next poll

Messages contain Alibaba's Code and RequestId, never a body, a header or a credential. `classification` chooses the
error.
"""

REASONS = (
    "auth",
    "permission",
    "throttled",
    "invalid_request",
    "server",
    "network",
    "timeout",
    "parse",
)
"""The values of the label `reason`, all of them."""


class DirectMailError(Exception):
    """A call without a usable response."""

    reason: str
    """One of REASONS."""
    retry: bool = False
    """Whether the same call may be sent again at once, with a fresh nonce and date."""
    usual_advice: str = ""
    """Default advice for an operator, one sentence."""

    def __init__(
        self,
        text: str,
        *,
        code: str = "",
        request_id: str = "",
        status: int | None = None,
        advice: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        """Alibaba's error code, "" if the response had none."""
        self.request_id = request_id
        """Alibaba's RequestId, "" if the response had none."""
        self.status = status
        """The HTTP status, None when no response arrived."""
        self.advice = advice or self.usual_advice
        """Advice for an operator, one sentence."""
        self.retry_after = retry_after
        """Seconds to wait that the API requests, None where it does not say."""

    def __str__(self) -> str:
        facts = [
            f"{name} {value}"
            for name, value in (
                ("Code", self.code),
                ("HTTP", self.status),
                ("RequestId", self.request_id),
            )
            if value
        ]
        return f"{self.text} ({', '.join(facts)})" if facts else self.text

    def facts(self) -> dict[str, str]:
        """Return its fields for a log line."""
        return {
            "reason": self.reason,
            "error": self.text,
            "code": self.code,
            "request_id": self.request_id,
            "advice": self.advice,
        }


class Rejected(DirectMailError):
    """The API rejected the call."""


class AuthError(Rejected):
    reason = "auth"


class NonceUsed(AuthError):
    """A nonce came a second time; a retry has a fresh one."""

    retry = True


class PermissionDenied(Rejected):
    reason = "permission"


class InvalidRequest(Rejected):
    reason = "invalid_request"


class Transient(DirectMailError):
    """The same call may succeed later."""

    retry = True


class Throttled(Transient):
    reason = "throttled"
    usual_advice = "Lower the target's rate_limit_per_minute, or find what else uses the account's quota."


class ServerError(Transient):
    reason = "server"
    usual_advice = "Nothing to do: it is retried. If it persists, report the RequestId to Alibaba Cloud's support."


class NetworkError(Transient):
    reason = "network"
    usual_advice = "Check name resolution, the proxy and the network path to the endpoint."


class RequestTimeout(Transient):
    reason = "timeout"
    usual_advice = "Check the network path to the endpoint, or raise the target's timeout."


class ParseError(DirectMailError):
    reason = "parse"
    usual_advice = "Nothing to do if it passes. If it persists, report the RequestId to Alibaba Cloud's support."
