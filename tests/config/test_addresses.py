"""Addresses in settings: whatever is accepted, the HTTP client can use."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from exporter.config import addresses, loader

CONFIG = "targets: [{name: shop, endpoint: '%s', queries: [{name: account}]}]"
STS = (
    "targets: [{name: shop, region: us-east-1, queries: [{name: account}],"
    " credentials: {type: oidc_role_arn, sts_endpoint: '%s'}}]"
)


@pytest.mark.parametrize(
    "endpoint",
    [
        pytest.param(r"https://dm\\example.com", id="backslash"),
        pytest.param("https://xn--a", id="punycode-of-nothing"),
        pytest.param("https://dm.ex\N{SOFT HYPHEN}ample.com", id="soft-hyphen"),
        pytest.param("https://dm.example.com\N{IDEOGRAPHIC FULL STOP}cn", id="another-dot"),
        pytest.param("https://b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example", id="not-ascii"),
        pytest.param("https://a..b", id="empty-label"),
        pytest.param(f"https://{'a' * 64}.com", id="long-label"),
        pytest.param(f"https://{'a.' * 127}com", id="long-name"),
        pytest.param("https://dm.example.com:0", id="port-0"),
        pytest.param("https://dm.example.com:65536", id="port-too-high"),
        pytest.param("https://[::1", id="open-bracket"),
        pytest.param("https://[fe80::1%eth0]", id="scope"),
        pytest.param("https://[v1.x]", id="future-address"),
        pytest.param("https://@dm.example.com", id="empty-user"),
        pytest.param("https://dm.example.com/path", id="path"),
        pytest.param("ftp://dm.example.com", id="scheme"),
        pytest.param("https://", id="no-host"),
        pytest.param("https://-dm.example.com", id="hyphen-first"),
    ],
)
def test_an_endpoint_that_no_client_can_use_is_rejected(endpoint: str) -> None:
    _, (problem,) = loader.parse(CONFIG % endpoint.replace("\\\\", "\\"))
    assert problem.place == "targets[0].endpoint"
    assert "write https://host or https://host:port" in problem.text


@pytest.mark.parametrize("url", ["http://dm.example.com", "http://192.0.2.1:8025", "http://[2001:db8::1]"])
def test_plain_http_is_for_this_machine_only(url: str) -> None:
    _, (problem,) = loader.parse(CONFIG % url)
    secure = url.replace("http", "https")
    assert problem.text == f"'{url}' sends everything unencrypted; write {secure} (http is accepted for loopback only)"
    _, (problem,) = loader.parse(STS % url)
    assert problem.place == "targets[0].credentials.sts_endpoint"
    assert "sends the credentials unencrypted" in problem.text


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "[::1]", "localhost", "LOCALHOST"])
def test_on_this_machine_plain_http_is_accepted(host: str) -> None:
    config, problems = loader.parse(CONFIG % f"http://{host}:8025")
    assert problems == ()
    assert config is not None
    assert config.targets[0].endpoint == f"http://{host.lower()}:8025"


@given(
    st.text()
    | st.builds(
        "{}://{}{}{}".format,
        st.sampled_from(["http", "https", "HTTPS"]),
        st.text(st.sampled_from("ab9.-_x:[]@\\%/?# \u00ad\u3002\u00fc")) | st.from_regex(r"\A[a-z0-9.-]{1,20}\Z"),
        st.sampled_from(["", ":", ":443", ":0"]),
        st.sampled_from(["", "/"]),
    )
)
@example("https://xn--n3h.example")
@example("https://a_b.example:443")
@example("http://[::ffff:127.0.0.1]")
def test_what_is_accepted_the_client_sends_to_the_same_place(text: str) -> None:
    address = addresses.parse(text)
    if address is not None:
        url = URL(str(address))
        assert (url.scheme, url.raw_host, url.explicit_port) == (address.scheme, address.host, address.port)
        assert url.host
