"""docs/security.md says what is so."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from exporter import watch
from exporter.web import authentication, connections, routes, tls, webconfig
from exporter.web.routes import Routes
from exporter.web.server import Options
from tests.support.certificates import Authority
from tests.support.web import Metrics, status

TEXT = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
EXAMPLE, SCRAPE = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


def test_the_example_protects(tmp_path: Path) -> None:
    Authority(tmp_path).issue("server")
    (tmp_path / "web.yml").write_text(EXAMPLE)
    settings = webconfig.read(tmp_path / "web.yml")
    assert settings.tls is not None
    assert list(settings.users) == ["prometheus"]


def test_prometheus_takes_the_scrape_config(tool: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text(SCRAPE)
    subprocess.run([tool("promtool"), "check", "config", "--syntax-only", tmp_path / "prometheus.yml"], check=True)
    users = yaml.safe_load(EXAMPLE)["basic_auth_users"]
    assert yaml.safe_load(SCRAPE)["scrape_configs"][0]["basic_auth"]["username"] in users


def test_the_headers_are_those_that_are_sent() -> None:
    told = dict(re.findall(r"^\| `([\w-]+)` \| `(.+)` \|$", TEXT, re.MULTILINE))
    assert told == {**routes.SECURITY_HEADERS, "Cache-Control": "no-store"}


@pytest.mark.parametrize(
    "fact",
    [
        f"| request line and each header | {connections.LONGEST_LINE} bytes |",
        f"| headers | {connections.MOST_HEADERS} |",
        f"| body | {routes.LARGEST_BODY} bytes |",
        f"| TLS handshake, then the first request's headers | {connections.FIRST_REQUEST_SECONDS:.0f} s each |",
        f"| an idle connection, or one that dawdles over a later request | {connections.IDLE_SECONDS:.0f} s |",
        f"| reading a scrape | {Routes(Metrics(), lambda: '', status, None).slow_client_seconds:.0f} s |",
        f"| scrapes at the same time | `--web.max-requests`, {Options().max_requests} |",
        f"looked at every {watch.EVERY:.0f} s",
        f"More than {authentication.LONGEST_QUEUE} passwords",
        " and ".join(f"`{path}`" for path in sorted(authentication.OPEN_PATHS)) + " need no password",
        f"`min_version` below `{min(tls.VERSIONS)}`",
        *(f"`{policy}`" for policy in tls.UNCHECKED if policy != "RequireClientCert"),
    ],
)
def test_a_fact_is_as_in_the_code(fact: str) -> None:
    assert fact in TEXT


def test_the_tests_that_it_names_exist() -> None:
    for name in re.findall(r"`(tests/\w+\.py)`", TEXT):
        assert (Path(__file__).parents[2] / name).is_file()
