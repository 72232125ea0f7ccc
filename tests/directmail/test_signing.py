"""The V3 signature, against the published vectors and against the official SDK."""

from types import SimpleNamespace

import pytest
from alibabacloud_tea_openapi.utils import Utils
from hypothesis import given
from hypothesis import strategies as st

from exporter.directmail import signing

NONCE = "3156853299f313e23d1673dc12e1703d"
MINIMAL = {
    "host": "dm.aliyuncs.com",
    "x-acs-action": "GetTrackList",
    "x-acs-version": "2015-11-23",
    "x-acs-date": "2026-04-22T10:15:30Z",
    "x-acs-signature-nonce": NONCE,
    "x-acs-content-sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
}
OF_THE_SDK = {
    **MINIMAL,
    "accept": "application/json",
    "user-agent": "AlibabaCloud (Linux; x86_64) Python/3.11.7 Core/0.4.3 TeaDSL/2",
    "x-acs-credentials-provider": "static_ak",
}
TEMPORARY = {
    **OF_THE_SDK,
    "x-acs-credentials-provider": "static_sts",
    "x-acs-accesskey-id": "LTAI4FAKEKEYID0001",
    "x-acs-security-token": "CAIS+FAKE/TOKEN==",
}
PUBLISHED = {
    **MINIMAL,
    "host": "ecs.cn-shanghai.aliyuncs.com",
    "x-acs-action": "RunInstances",
    "x-acs-version": "2014-05-26",
    "x-acs-date": "2023-10-26T10:22:32Z",
}
DAYS = {"StartTime": "2026-04-15", "EndTime": "2026-04-21"}
FIRST = {**DAYS, "PageNumber": "1", "PageSize": "100"}
SECRET = "FakeSecretFakeSecretFakeSecret"


@pytest.mark.parametrize(
    ("parameters", "headers", "secret", "signature"),
    [
        pytest.param(
            FIRST,
            OF_THE_SDK,
            SECRET,
            "0f1b4525046214b1887bed4db14476ad80d9a09a839f4457779268b3f5a381e4",
            id="A",
        ),
        pytest.param(
            {
                **DAYS,
                "PageNumber": "2",
                "PageSize": "50",
                "AccountName": "test+a b*~@example.com",
                "TagName": "标签/x&y",
            },
            OF_THE_SDK,
            SECRET,
            "7ea11d0a13944b1f82960a6a86b912d54c4c637dc83111814a75ea49f9932424",
            id="B: escapes",
        ),
        pytest.param(
            {**DAYS, "AccountName": "test@example.com", "Esp": "gmail.com"},
            TEMPORARY,
            SECRET,
            "3afbe66bcca509a24f11825bfd0ccc6083de8b7b8c0d8e889b80c927e2bc7395",
            id="C: security token",
        ),
        pytest.param(
            FIRST,
            MINIMAL,
            SECRET,
            "b9da69c5044cec8148bc69ce785b4f59db555e3ac3262f7f9a3f1edbef8dbe39",
            id="D: minimal headers",
        ),
        pytest.param(
            {
                "ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd",
                "RegionId": "cn-shanghai",
            },
            PUBLISHED,
            "YourAccessKeySecret",
            "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0",
            id="published in the documentation",
        ),
    ],
)
def test_the_known_signatures_come_out(
    parameters: dict[str, str], headers: dict[str, str], secret: str, signature: str
) -> None:
    query = signing.canonical_query(parameters)
    assert signing.signature(secret, "POST", query, headers, headers) == signature


NAMES = [
    "StartTime",
    "EndTime",
    "PageNumber",
    "PageSize",
    "AccountName",
    "TagName",
    "Esp",
    "ConfigSetId",
    "a",
    "Z",
]
values = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(
    parameters=st.dictionaries(st.sampled_from(NAMES), values),
    secret=st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1, max_size=40),
    token=st.none() | st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1),
    port=st.sampled_from(["", ":8443"]),
)
def test_the_official_sdk_signs_the_same_request_in_the_same_way(
    parameters: dict[str, str], secret: str, token: str | None, port: str
) -> None:
    headers = {**MINIMAL, "host": f"dm.aliyuncs.com{port}"}
    if token is not None:
        headers |= {"x-acs-accesskey-id": "STS.key", "x-acs-security-token": token}
    request = SimpleNamespace(method="POST", pathname="/", query=parameters, headers=headers)
    theirs = Utils.get_authorization(request, signing.ALGORITHM, signing.EMPTY_SHA256, "LTAI4FAKEKEYID0001", secret)
    query = signing.canonical_query(parameters)
    assert signing.authorization("LTAI4FAKEKEYID0001", secret, "POST", query, headers) == theirs


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        pytest.param("AZaz09-_.~", "AZaz09-_.~", id="what stays"),
        pytest.param(" ", "%20", id="a blank is no plus"),
        pytest.param("+*@:/?&=%", "%2B%2A%40%3A%2F%3F%26%3D%25", id="what does not"),
        pytest.param("标", "%E6%A0%87", id="UTF-8, upper case"),
    ],
)
def test_only_unreserved_characters_stay_as_they_are(text: str, encoded: str) -> None:
    assert signing.encode(text) == encoded


def test_the_order_of_the_parameters_does_not_matter() -> None:
    assert signing.canonical_query({"b": "2", "B": "1", "a": ""}) == "B=1&a=&b=2"
