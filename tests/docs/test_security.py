"""docs/security.md says what is so."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from exporter import watch
from exporter.web import authentication, connection_limit, connections, passwords, routes, tls, webconfig
from exporter.web.connections import Timeouts
from exporter.web.server import Options
from tests.support.certificates import Authority

TEXT = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
EXAMPLE, SCRAPE = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


def test_the_example_protects(tmp_path: Path) -> None:
    Authority(tmp_path).issue("server")
    (tmp_path / "web.yml").write_text(EXAMPLE)
    settings = webconfig.read(tmp_path / "web.yml")
    assert settings.tls is not None
    assert list(settings.users) == ["prometheus"]


def test_prometheus_accepts_the_scrape_config(tool: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text(SCRAPE)
    subprocess.run([tool("promtool"), "check", "config", "--syntax-only", tmp_path / "prometheus.yml"], check=True)
    users = yaml.safe_load(EXAMPLE)["basic_auth_users"]
    assert yaml.safe_load(SCRAPE)["scrape_configs"][0]["basic_auth"]["username"] in users


def test_the_headers_are_those_that_are_sent() -> None:
    reported = dict(line.split(": ", 1) for line in re.findall(r"```http\n(.*?)```", TEXT, re.DOTALL)[0].splitlines())
    assert reported == {**routes.SECURITY_HEADERS, "Cache-Control": "no-store"}


@pytest.mark.parametrize(
    "fact",
    [
        f"| request line and each header | {connections.LONGEST_LINE} bytes |",
        f"| headers | {connections.MOST_HEADERS} |",
        f"| body | {routes.LARGEST_BODY} bytes |",
        f"| open connections | {connection_limit.MOST_CONNECTIONS}, or a quarter of the file descriptors",
        f"first request's headers, TLS handshake included | {Timeouts().first_request:.0f} s |",
        f"| an idle connection, or a later request's headers | {Timeouts().next_request:.0f} s |",
        f"| reading an answer | {Timeouts().response:.0f} s |",
        f"each with {routes.CHUNK // 1024} KiB of its own",
        f"| concurrent scrapes | `--web.max-requests`, {Options().max_requests}; 0 disables the limit |",
        f"checked every {watch.EVERY:.0f} s",
        f"Beyond {passwords.LONGEST_QUEUE} waiting logins",
        f"bcrypt cost above {webconfig.HIGHEST_COST} are rejected",
        f"Up to a cost of {passwords.EVEN_COST} ",
        " and ".join(f"`{path}`" for path in sorted(authentication.OPEN_PATHS)) + " need no password",
        f"`min_version` below `{min(tls.VERSIONS)}`",
        *(f"`{policy}`" for policy in tls.UNCHECKED if policy != "RequireClientCert"),
    ],
)
def test_a_fact_is_as_in_the_code(fact: str) -> None:
    assert fact in " ".join(TEXT.split())


def test_a_connection_takes_a_quarter_of_the_file_descriptors_at_most() -> None:
    assert connection_limit.SHARE_OF_DESCRIPTORS == 4


def test_the_tests_that_it_names_exist() -> None:
    for name in re.findall(r"`(tests/\w+\.py)`", TEXT):
        assert (Path(__file__).parents[2] / name).is_file()
