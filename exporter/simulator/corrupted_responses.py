"""Responses that a fault corrupts on the wire: errors in other forms, responses that are longer or different."""

import json
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from aiohttp import web

MANY_ROWS = 15_000
_ZERO = dict.fromkeys(
    (
        *("TotalNumber", "RcptOpenCount", "RcptUniqueOpenCount", "RcptClickCount", "RcptUniqueClickCount"),
        *("requestCount", "successCount", "faildCount", "unavailableCount"),
    ),
    "0",
)
"""A row of no mail, for both statistics."""


def error(document: Mapping[str, object], status: int, headers: Mapping[str, str], fault: str) -> web.Response:
    """Return an error response in the form of a fault."""
    if fault == "throttle_xml":
        fields = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in document.items())
        text = f"<?xml version='1.0' encoding='UTF-8'?><Error>{fields}</Error>"
        return web.Response(text=text, status=status, headers=headers, content_type="text/xml")
    if fault == "throttle_gbk":
        small = {f"{name[:1].lower()}{name[1:]}": value for name, value in document.items()}
        body = json.dumps({**small, "message": "请求被流控"}, ensure_ascii=False).encode("gbk")
        return web.Response(body=body, status=status, headers=headers, content_type="application/json")
    return web.json_response(document, status=status, headers=headers)


def respond(document: Mapping[str, Any], key_id: str, fault: str) -> web.Response | None:
    """Return a good response as the fault corrupts it, None for a fault of another kind."""
    headers: dict[str, str] = {}
    data = document.get("data")
    rows = data.get("stat") if isinstance(data, dict) else None
    if fault == "failed_200":
        document = {**document, "Code": "InternalError", "Success": False, "data": {"stat": []}}
    elif fault == "throttle_200":
        document = {**document, "Code": "Throttling.User", "data": {}}
    elif fault == "many_rows":
        document = {**document, "data": {"stat": [(rows or [_ZERO])[0]] * MANY_ROWS}}
    elif fault == "echo":
        headers["x-acs-request-id"] = key_id
        document = {
            **document,
            "RequestId": key_id,
            "data": {"stat": [{**_ZERO, "RcptOpenCount": key_id, "faildCount": key_id}]},
        }
    elif fault == "large_header":
        headers["Set-Cookie"] = "x" * 9000
    elif fault == "brotli":
        headers["Content-Encoding"] = "br"
    else:
        return None
    return web.Response(body=json.dumps(document).encode(), headers=headers, content_type="application/json")


async def twice(request: web.Request, body: bytes) -> web.StreamResponse:
    """Send a response, and behind it another one, of 777 mails, that was not requested."""
    response = web.Response(body=body, content_type="application/json")
    await response.prepare(request)
    await response.write_eof()
    more = json.dumps(
        {"RequestId": "UNASKED", "data": {"stat": [{**_ZERO, "TotalNumber": "777", "requestCount": "777"}]}}
    ).encode()
    if request.transport is not None:
        request.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(more), more))
    return response
