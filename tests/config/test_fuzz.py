"""Whatever a file holds, it is a config, or mistakes with their places, and never an exception."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.commands import check
from exporter.config import loader
from exporter.config.checking import MOST_PROBLEMS, ConfigError
from exporter.reload import load
from exporter.web import webconfig
from tests.support.config_strategies import SCALARS, generated, texts

THOROUGH = settings(max_examples=300)
WEB_KEYS = (
    *(
        "tls_server_config",
        "http_server_config",
        "basic_auth_users",
        "rate_limit",
        "cert_file",
        "key_file",
        "cert",
        "key",
    ),
    *("client_ca", "client_auth_type", "client_allowed_sans", "min_version", "cipher_suites", "curve_preferences"),
    *("http2", "headers", "X-Frame-Options", "X-XSS-Protection", "interval", "burst", "alice"),
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("config") / "config.yaml"


def assert_readable(error: ConfigError) -> None:
    assert 1 <= len(error.problems) <= MOST_PROBLEMS + 1
    for problem in error.problems:
        assert problem.place
        assert len(str(problem)) < 1000
        assert str(problem).isprintable()


@THOROUGH
@given(text=texts)
def test_a_text_is_a_config_that_can_be_planned_or_a_list_of_mistakes(file: Path, text: str) -> None:
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert file in loader.files(file)
    try:
        config = load(file)
    except ConfigError as error:
        assert_readable(error)
    else:
        assert check.report(config).encode()


@THOROUGH
@given(content=st.binary())
def test_bytes_are_no_exception_either(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert_readable(caught.value)


_values = st.sampled_from(SCALARS)
_blocks = st.recursive(
    _values,
    lambda inner: st.builds(
        lambda items: "{" + ", ".join(f"{key}: {value}" for key, value in items.items()) + "}",
        st.dictionaries(st.sampled_from(WEB_KEYS), inner, max_size=4),
    ),
    max_leaves=8,
)


@THOROUGH
@given(text=_blocks | generated | st.text())
def test_a_web_config_is_one_or_a_list_of_mistakes(file: Path, text: str) -> None:
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert file in webconfig.files(file)
    try:
        webconfig.read(file)
    except ConfigError as error:
        assert_readable(error)
