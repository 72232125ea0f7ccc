"""Whatever a server answers, a call ends with a result or an error of the client's own that can be shown."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.directmail import account
from exporter.directmail.client import Client
from exporter.directmail.credentials import Credentials, FromEnvironment
from exporter.directmail.errors import DirectMailError
from exporter.directmail.limiter import Limiters
from exporter.directmail.listing import OPERATIONS
from exporter.directmail.model import Filters
from exporter.directmail.statistics.delivery import DELIVERY
from exporter.directmail.statistics.engagement import ENGAGEMENT
from exporter.directmail.transport import open_session
from tests.support.clock import ScriptedClock

KEY = Credentials("LTAI4FAKEKEYID0001", "FakeSecret/With+Signs", "CAIS+FAKE/TOKEN==")
ENVIRONMENT = {
    "ALIBABA_CLOUD_ACCESS_KEY_ID": KEY.access_key_id,
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": KEY.access_key_secret,
    "ALIBABA_CLOUD_SECURITY_TOKEN": KEY.security_token,
}
DAY = date(2026, 4, 21)
UNREADABLE = "cannot be read"
"""In the error of an answer that a reader did not foresee."""


class Answer(NamedTuple):
    """A response, as far as HTTP lets it be written."""

    status: int
    headers: dict[str, str]
    body: str

    def written(self) -> bytes:
        body = self.body.encode("utf-8", "surrogatepass")
        lines = [f"HTTP/1.1 {self.status} X", *(f"{name}: {value}" for name, value in self.headers.items())]
        head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "Connection: close"])
        return head.encode("latin-1") + b"\r\n\r\n" + body


Call = Callable[[Client], Awaitable[object]]


async def described(client: Client) -> object:
    """Request a domain as the exporter does."""
    return account.described(await client.call(account.DOMAIN, {}))


async def summarised(client: Client) -> object:
    """Request the account as the exporter does."""
    return account.summary(await client.call(account.SUMMARY, {}))


CALLS: dict[str, Call] = {
    "engagement": lambda client: client.read(ENGAGEMENT, Filters(), DAY),
    "delivery": lambda client: client.read(DELIVERY, Filters(), DAY),
    "domains": lambda client: client.list_values(OPERATIONS["domain"]),
    "configuration sets": lambda client: client.list_values(OPERATIONS["config_set_id"]),
    "summary": summarised,
    "domain": described,
}


async def outcomes(answers: Sequence[Answer], calls: Sequence[Call]) -> list[DirectMailError | None]:
    """Return how each call ends with each answer: with an error of ours, or well."""
    current = b""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(current)
            await writer.drain()
        finally:
            writer.close()

    clock, ends = ScriptedClock(skip_sleeps=True), []
    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    async with server, open_session() as session:
        client = Client(
            session,
            f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",
            FromEnvironment(ENVIRONMENT),
            Limiters(100_000, clock),
            clock,
            timeout=30.0,
            page_size=2,
            observe=lambda action, seconds, reason: None,
            rng=random.Random(1),
            attempts=1,
        )
        for answer in answers:
            current = answer.written()
            for call in calls:
                try:
                    await call(client)
                except DirectMailError as error:
                    ends.append(error)
                else:
                    ends.append(None)
    return ends


def ends_of(answers: Sequence[Answer], calls: Sequence[Call] = tuple(CALLS.values())) -> list[DirectMailError | None]:
    return asyncio.run(outcomes(answers, calls))


def assert_can_be_shown(error: DirectMailError | None) -> None:
    if error is not None:
        shown = json.dumps(error.facts(), ensure_ascii=False)
        assert shown.encode()
        assert len(shown) < 2000
        assert UNREADABLE not in shown, "every reader is to name what is wrong"
        assert str(error).isprintable()
        assert not any(secret in shown for secret in KEY.secrets())


LONG_REFERENCE = "&#" + "1" * 5000 + ";"
HUGE = "1" + "0" * 400
DEEP = "[" * 900 + "]" * 900
LAYERS = "%" + "25" * 2000


@pytest.mark.parametrize("status", [200, 400, 503])
@pytest.mark.parametrize(
    ("headers", "body"),
    [
        pytest.param({}, f'{{"Code":{HUGE}}}', id="a-code-of-401-digits"),
        pytest.param({}, f'{{"code":-{HUGE}}}', id="a-negative-one-in-lower-case"),
        pytest.param({}, '{"Code":1e999}', id="an-infinite-code"),
        pytest.param({}, '{"Code":NaN}', id="a-code-that-is-no-number"),
        pytest.param({}, f'{{"Code":"InternalError","Message":"{LONG_REFERENCE}"}}', id="a-long-reference"),
        pytest.param({}, f'{{"RequestId":"A","data":{{"stat":["{LONG_REFERENCE}"]}}}}', id="the-same-in-a-row"),
        pytest.param({}, f'{{"{LONG_REFERENCE}":1}}', id="the-same-as-a-name"),
        pytest.param({}, f"<Error><Code>{LONG_REFERENCE}</Code></Error>", id="the-same-in-XML"),
        pytest.param({}, f'{{"Code":"X","Message":"{LAYERS}"}}', id="two-thousand-layers"),
        pytest.param({"x-acs-request-id": LAYERS}, '{"Code":"X"}', id="the-same-in-a-header"),
        pytest.param({"x-acs-request-id": LONG_REFERENCE}, '{"Code":"X"}', id="a-long-reference-in-a-header"),
        pytest.param({"x-acs-request-id": LAYERS}, "", id="the-same-without-a-body"),
        pytest.param({}, f'{{"Success":{DEEP},"Code":"%41"}}', id="a-deep-success"),
        pytest.param({}, f'{{"Message":{DEEP},"Code":"%41"}}', id="a-deep-message"),
        pytest.param({"Date": "Thu, 01 Jan 9999 99:99:99 +9999"}, '{"Code":"IllegalTimestamp"}', id="a-strange-date"),
        pytest.param({"Retry-After": HUGE, "x-acs-retry-after": HUGE}, '{"Code":"Throttling"}', id="a-long-wait"),
    ],
)
def test_an_answer_that_broke_the_client_is_an_error_of_its_own(
    headers: dict[str, str], body: str, status: int
) -> None:
    ends = ends_of([Answer(status, headers, body)])
    assert None not in ends
    for error in ends:
        assert_can_be_shown(error)


def _escaped(text: str, escape: str, layers: int) -> str:
    head, layer = escape[:1], escape[1:]
    return f"{head}{layer * layers}{text}"


texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["", "OK", "Throttling", "InvalidAccessKeyId", "Forbidden", "\ud800", "\x00", "-1", "1,000", "1e999", "٣"]
    ),
    st.sampled_from([*KEY.secrets(), LONG_REFERENCE, "&#x" + "f" * 5000 + ";", "&#" + "0" * 6000 + "65;", "&&&#;"]),
    st.builds(_escaped, st.text(max_size=5), st.sampled_from(["%25", "&amp;", "\\u005c", "\\"]), st.integers(0, 1500)),
    st.builds(lambda digit, count: digit * count, st.sampled_from("019٣\\"), st.integers(1, 5000)),
)
numbers = st.one_of(
    st.integers(-3, 200),
    st.sampled_from([10**400, -(10**400), 2**53, 2**63, 10**4299]),
    st.floats(),
)
leaves = st.none() | st.booleans() | numbers | texts
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=2))
rows = st.fixed_dictionaries(
    dict.fromkeys((*ENGAGEMENT.fields, *DELIVERY.fields), leaves),
    optional={"CreateTime": values, **{rate.field: leaves for rate in ENGAGEMENT.rates.values()}},
)
domains = st.fixed_dictionaries({"DomainName": leaves}, optional={"DomainId": values, "ConfirmStatus": values})
documents = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("RequestId", "Code", "code", "Message", "Success", "UserStatus", "DailyQuota"), values),
        **dict.fromkeys(("PageNo", "PageSize", "Total", "TotalPages", "PageNumber", "TotalCount"), leaves),
        **dict.fromkeys(("HasMore", "TotalCounts", "CurrentPage", "DkimAuthStatus"), leaves),
        "ConfigSets": st.lists(st.fixed_dictionaries({"Id": leaves}), max_size=3) | values,
        "data": st.fixed_dictionaries(
            {}, optional={"stat": st.lists(rows, max_size=3) | values, "domain": st.lists(domains, max_size=3)}
        )
        | values,
    },
)
errors_in_xml = st.builds(
    lambda code, message: f"<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{code}</RequestId>",
    texts,
    texts,
)
bodies = st.one_of(
    documents.map(json.dumps),
    documents.map(lambda document: json.dumps(document, ensure_ascii=False)),
    errors_in_xml,
    texts,
    st.just('{"data": ' + DEEP + ', "Code": "%41"}'),
)
written = texts.map(lambda text: "".join(each for each in text if each.isprintable() and ord(each) < 256)[:4000])
headers = st.dictionaries(
    st.sampled_from(["x-acs-request-id", "x-acs-retry-after", "Retry-After", "Date", "Content-Type"]), written
)
answers = st.builds(Answer, st.sampled_from([200, 200, 200, 201, 302, 400, 403, 404, 429, 500, 503]), headers, bodies)


@given(given_answers=st.lists(answers, min_size=4, max_size=8))
@settings(max_examples=60)
def test_no_answer_raises_anything_but_the_clients_own_errors(given_answers: list[Answer]) -> None:
    for error in ends_of(given_answers):
        assert_can_be_shown(error)
