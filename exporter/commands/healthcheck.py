"""`healthcheck`: checks the health of a running exporter, for containers that have neither curl nor a shell."""

import http.client
import ipaddress
import ssl
from urllib.parse import urlsplit

import click

from exporter.commands import exit_status, flags
from exporter.directmail import causes
from exporter.directmail.causes import Cause, Place
from exporter.web.sockets import BindError, split_address
from exporter.web.tls_transport import SPEAKS_TLS

PATH = "/-/healthy"
SECONDS = 3.0
"""How long a response may take."""
NOT_HTTP = Cause("the response is not valid HTTP", "")
CLOSED = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError, ssl.SSLEOFError)


class NotHealthy(Exception):
    """The exporter is not healthy; the text is one line for the operator."""


class WantsTls(NotHealthy):
    """It speaks HTTPS."""


class WantsCertificate(NotHealthy):
    """It ends the TLS connection with an alert, for which there is no other reason than our missing certificate."""


class Closed(NotHealthy):
    """It closes the connection without a response."""


@click.command()
@flags.listen_addresses
@click.option("--url", help="URL to request instead of the listen address.")
@click.option("--insecure", is_flag=True, help="Skip TLS certificate verification for --url.")
def command(listen_addresses: tuple[str, ...], url: str | None, insecure: bool) -> None:
    """Check the health of a running exporter, with TLS or without; for containers without curl.

    Of several listen addresses the first is checked.
    """
    try:
        click.echo(of_url(url, insecure=insecure) if url else of_listener(listen_addresses[0]))
    except NotHealthy as error:
        exit_status.fail(f"unhealthy: {error}")


def of_listener(address: str) -> str:
    """Return the response of the exporter on this `host:port`, with TLS or without. Raise NotHealthy.

    Its certificate is not verified: it runs in the same container, and nothing secret is sent. One that
    wants a client certificate says so by an alert, which only a process that lives can do.
    """
    place = _reachable(address)
    try:
        return of_url(f"http://{place}{PATH}", insecure=True)
    except (WantsTls, Closed):
        pass
    try:
        return of_url(f"https://{place}{PATH}", insecure=True)
    except (WantsCertificate, Closed):
        return "OK, requires a client certificate"


def of_url(url: str, *, insecure: bool) -> str:
    """Return the text of a 200; `insecure` accepts any certificate. Raise NotHealthy for all else."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise NotHealthy(str(error)) from None
    if host is None or parts.scheme not in ("http", "https"):
        raise NotHealthy(f"{url!r} is not a URL; write one such as http://127.0.0.1:10058{PATH}")
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        trust = ssl.create_default_context()
        if insecure:
            trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, port, timeout=SECONDS, context=trust)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
    try:
        connection.request("GET", parts.path or "/")
        with connection.getresponse() as response:
            text = response.read(100).decode(errors="replace").strip()
    except CLOSED:
        raise Closed("connection closed without a response; check whether the server uses https") from None
    except (OSError, http.client.HTTPException) as error:
        is_alert = isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or "")
        cause = causes.cause(error, Place(host, connection.port)) or NOT_HTTP
        raise (WantsCertificate if is_alert else NotHealthy)(cause.text) from None
    finally:
        connection.close()
    if response.status == http.HTTPStatus.BAD_REQUEST and text == SPEAKS_TLS:
        raise WantsTls(text)
    if response.status != http.HTTPStatus.OK:
        raise NotHealthy(f"{response.status} {text}")
    return text


def _reachable(address: str) -> str:
    """Return `host:port` as a client in the same place writes it: every interface is loopback."""
    try:
        host, port = split_address(address)
    except BindError as error:
        raise NotHealthy(str(error)) from None
    if not host:
        return f"127.0.0.1:{port}"
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return f"{host}:{port}"
    if ip.is_unspecified:  # of both families: there are machines without ::1
        return f"127.0.0.1:{port}"
    return f"{host}:{port}" if ip.version == 4 else f"[{host}]:{port}"
