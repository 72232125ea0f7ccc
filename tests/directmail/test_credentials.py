"""Credentials from the environment, from files that change, and from fake STS and credentials servers."""

import asyncio
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import suite_clock
from aiohttp import web

from exporter.directmail.credential_provider import provider
from exporter.directmail.credentials import Credentials, FromEnvironment, FromFiles, Provider
from exporter.directmail.errors import AuthError
from exporter.directmail.ram_credentials import CONNECT_TIMEOUT, PAUSE, READ_TIMEOUT, REQUEST_AGAIN, TYPES, FromRam
from tests.support.certificates import Authority
from tests.support.clock import ScriptedClock
from tests.support.issuers import Issuer, Metadata, Mounted, issued, serving

ID, SECRET = "ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"
ROLE = "acs:ram::1234567890123456:role/directmail-exporter"
PROVIDER = "acs:ram::1234567890123456:oidc-provider/cluster"
NO_NAME = ".".join(["a" * 60] * 5)
"""Longer than a name can be: it is known not to exist without a lookup."""
METADATA = "100.100.100.200"


class TestTheEnvironment:
    async def test_the_variables_are_read_at_every_call(self) -> None:
        variables = {ID: " key ", SECRET: "secret\n"}
        source = FromEnvironment(variables)
        assert await source.get() == Credentials("key", "secret")
        variables["ALIBABA_CLOUD_SECURITY_TOKEN"] = "token"
        assert (await source.get()).security_token == "token"

    @pytest.mark.parametrize(
        "variables",
        [
            pytest.param({}, id="none"),
            pytest.param({ID: "key"}, id="no secret"),
            pytest.param({ID: " ", SECRET: "secret"}, id="blank key"),
        ],
    )
    async def test_missing_variables_are_named(self, variables: dict[str, str]) -> None:
        with pytest.raises(AuthError, match=f"{ID} and {SECRET} are not both set"):
            await FromEnvironment(variables).get()

    @pytest.mark.parametrize("bad", ["two words", "two\nlines", "schlüssel", "nul\x00"])
    async def test_a_key_that_cannot_be_one_is_named_by_its_place_and_not_shown(self, bad: str) -> None:
        with pytest.raises(AuthError, match=f"{SECRET} contains characters that are not valid in a key") as caught:
            await FromEnvironment({ID: "key", SECRET: bad}).get()
        assert bad not in str(caught.value)


def test_credentials_do_not_show_themselves() -> None:
    credentials = Credentials("my-id", "my-secret", "my-token")
    assert "my-" not in f"{credentials!r} {credentials}"
    assert credentials.secrets() == ("my-id", "my-secret", "my-token")
    assert Credentials("my-id", "my-secret").secrets() == ("my-id", "my-secret")


@pytest.fixture
def mounted(tmp_path: Path) -> Mounted:
    return Mounted(tmp_path)


class TestFiles:
    async def test_files_are_read_and_stripped(self, mounted: Mounted) -> None:
        mounted.write(id="key\n", secret="  secret\n", token="token")
        assert await mounted.source().get() == Credentials("key", "secret")
        assert await mounted.source(token=True).get() == Credentials("key", "secret", "token")

    async def test_what_does_not_change_is_read_once(self, mounted: Mounted) -> None:
        mounted.write(id="key", secret="secret")
        source = mounted.source()
        assert await source.get() is await source.get()

    async def test_a_swapped_link_is_read_at_the_next_call(self, mounted: Mounted) -> None:
        mounted.write(id="key", secret="secret")
        source = mounted.source()
        await source.get()
        mounted.write(id="yek", secret="terces")
        assert await source.get() == Credentials("yek", "terces")

    async def test_a_file_of_the_same_size_written_in_place_is_read_again(self, tmp_path: Path) -> None:
        for name in ("id", "secret"):
            (tmp_path / name).write_text("old")
        source = FromFiles(tmp_path / "id", tmp_path / "secret")
        await source.get()
        (tmp_path / "secret").write_text("new")
        os.utime(tmp_path / "secret", ns=(1, 1))  # whatever the clock's resolution
        assert (await source.get()).access_key_secret == "new"

    async def test_rejected_credentials_are_read_again_even_if_nothing_seems_changed(self, tmp_path: Path) -> None:
        for name in ("id", "secret"):
            (tmp_path / name).write_text("old")
        source = FromFiles(tmp_path / "id", tmp_path / "secret")
        await source.get()
        before = (tmp_path / "secret").stat()
        (tmp_path / "secret").write_text("new")
        os.utime(tmp_path / "secret", ns=(before.st_atime_ns, before.st_mtime_ns))
        assert (await source.get()).access_key_secret == "old"
        source.rejected()
        assert (await source.get()).access_key_secret == "new"

    async def test_an_empty_file_is_named(self, mounted: Mounted) -> None:
        mounted.write(id="key", secret=" \n")
        with pytest.raises(AuthError, match=r"no credentials: .*/secret is empty"):
            await mounted.source().get()

    async def test_a_missing_file_is_named(self, mounted: Mounted) -> None:
        mounted.write(id="key")
        with pytest.raises(AuthError, match=r"/secret cannot be read: No such file or directory") as caught:
            await mounted.source().get()
        assert caught.value.__cause__ is None
        assert caught.value.advice

    async def test_a_directory_is_no_key(self, tmp_path: Path) -> None:
        with pytest.raises(AuthError, match="cannot be read: Is a directory"):
            await FromFiles(tmp_path, tmp_path).get()

    async def test_a_file_that_is_not_text_is_named_and_not_shown(self, tmp_path: Path) -> None:
        (tmp_path / "id").write_bytes(b"\xff\xfe-secret")
        with pytest.raises(AuthError, match="/id cannot be read: not UTF-8") as caught:
            await FromFiles(tmp_path / "id", tmp_path / "id").get()
        assert "-secret" not in repr(vars(caught.value))

    async def test_two_keys_in_one_file_are_rejected(self, mounted: Mounted) -> None:
        mounted.write(id="key", secret="secret\nanother")
        with pytest.raises(AuthError, match="/secret contains characters") as caught:
            await mounted.source().get()
        assert "another" not in str(caught.value)

    async def test_one_file_named_twice_is_used_for_both(self, tmp_path: Path) -> None:
        """The API rejects such a key by its right reason; nothing breaks here."""
        (tmp_path / "id").write_text("key")
        assert await FromFiles(tmp_path / "id", tmp_path / "id").get() == Credentials("key", "key")

    async def test_it_works_again_once_the_files_are_fixed(self, mounted: Mounted) -> None:
        mounted.write(id="key", secret="")
        source = mounted.source()
        with pytest.raises(AuthError):
            await source.get()
        mounted.write(id="key", secret="secret")
        assert await source.get() == Credentials("key", "secret")


BASE = "LTAI5tBaseKeyId0001"


def at_sts(address: str) -> Provider:
    """Return who assumes a role with a key of the environment."""
    options, keys = {"role_arn": ROLE, "sts_endpoint": address}, {ID: BASE, SECRET: "BaseSecret91bc"}
    return provider("ram_role_arn", ScriptedClock(time.time()), options=options, environment=keys)


async def failing_at(address: str) -> AuthError:
    with pytest.raises(AuthError) as caught:
        await at_sts(address).get()
    return caught.value


GUARDED = """
import asyncio, sys

def guard(event, arguments):
    if event == "socket.connect" and arguments[1][0] != "127.0.0.1":
        raise SystemError(f"a connection to {arguments[1]}")

sys.addaudithook(guard)
from pathlib import Path
from exporter.clock import SystemClock
from exporter.directmail.errors import AuthError
from exporter.directmail.credential_provider import provider
from exporter.directmail import ram_credentials
from alibabacloud_credentials.provider import EcsRamRoleCredentialsProvider as OfMetadata

ram_credentials.CONNECT_TIMEOUT = ram_credentials.READ_TIMEOUT = 60_000  # the machine may be busy
OfMetadata.DEFAULT_CONNECT_TIMEOUT = OfMetadata.DEFAULT_READ_TIMEOUT = 60_000
kind, file, sts = sys.argv[1:]
file = Path(file)
files = {"access_key_id_file": file, "access_key_secret_file": file} if kind in ("files", "ram_role_arn") else {}
options = {
    "ram_role_arn": {"role_arn": "acs:ram::1:role/x", "sts_endpoint": sts},
    "oidc_role_arn": {
        "role_arn": "acs:ram::1:role/x", "oidc_provider_arn": "p", "oidc_token_file": str(file), "sts_endpoint": sts
    },
    "credentials_uri": {"credentials_uri": sts + "/credentials"},
}
try:
    found = asyncio.run(provider(kind, SystemClock(), **files, options=options.get(kind, {})).get())
    print("credentials" if found.access_key_secret else "nothing")
except AuthError as error:
    print("no credentials" if "are not both set" in error.text else error)
"""
"""Requests the credentials of a type, in a process that can connect to nothing but loopback."""


@asynccontextmanager
async def by_uri(issuer: Issuer) -> AsyncIterator[tuple[FromRam, ScriptedClock]]:
    clock = ScriptedClock(time.time())
    async with serving(issuer) as address:
        yield FromRam("credentials_uri", {"credentials_uri": f"{address}/credentials"}, clock), clock


class TestTemporaryCredentials:
    async def test_a_credentials_uri_is_requested_once_per_lifetime(self) -> None:
        issuer = Issuer()
        async with by_uri(issuer) as (source, clock):
            assert await source.get() == issued(1)
            assert source.expires_at == pytest.approx(time.time() + 3600, abs=5)
            await clock.advance(REQUEST_AGAIN)
            assert await source.get() == issued(1)
        assert len(issuer.seen) == 1

    async def test_credentials_near_their_end_are_renewed(self) -> None:
        issuer = Issuer(lifetime=600)  # the library renews in the last quarter of an hour
        async with by_uri(issuer) as (source, clock):
            first = await source.get()
            sent = len(issuer.seen)
            assert await source.get() == first
            assert len(issuer.seen) == sent
            await clock.advance(REQUEST_AGAIN)
            assert await source.get() != first

    async def test_twenty_callers_at_once_are_one_request_and_the_loop_is_not_blocked(self) -> None:
        issuer = Issuer(delay=0.1)
        async with by_uri(issuer) as (source, _):
            # The server runs on this very loop: were the loop held up, nobody would ever answer.
            found = await asyncio.wait_for(asyncio.gather(*(source.get() for _ in range(20))), 60.0)
        assert found == [issued(1)] * 20
        assert len(issuer.seen) == 1

    async def test_fetching_leaves_the_loop_to_others(self) -> None:
        """The library's own asynchronous way would hold it until the response is there."""
        async with by_uri(Issuer(delay=0.05)) as (source, _):
            fetching = asyncio.gather(*(source.get() for _ in range(20)))
            turns = 0
            while not fetching.done():
                await asyncio.sleep(0.001)
                turns += 1
            await fetching
        assert turns >= 5

    async def test_fetching_waits_for_no_other_work(self) -> None:
        done, loop = threading.Event(), asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as pool:
            loop.set_default_executor(pool)
            busy = loop.run_in_executor(None, done.wait)
            try:
                async with by_uri(Issuer()) as (source, _), asyncio.timeout(10):
                    assert await source.get() == issued(1)
            finally:
                done.set()
                await busy

    async def test_rotation_under_load_shows_every_caller_a_whole_set(self) -> None:
        issuer = Issuer(lifetime=600, delay=0.01)
        whole = {issued(number) for number in range(1, 60)}
        async with by_uri(issuer) as (source, clock):
            for _ in range(5):
                found = await asyncio.gather(*(source.get() for _ in range(20)))
                assert set(found) <= whole
                assert len(set(found)) == 1
                await clock.advance(REQUEST_AGAIN)

    async def test_rejected_credentials_are_fetched_anew_at_once_but_not_over_and_over(self) -> None:
        issuer = Issuer()
        async with by_uri(issuer) as (source, clock):
            await source.get()
            source.rejected()
            assert await source.get() == issued(2)
            source.rejected()
            assert await source.get() == issued(2)
            await clock.advance(PAUSE)
            source.rejected()
            assert await source.get() == issued(3)

    async def test_the_last_good_ones_are_kept_while_fetching_fails_until_they_expire(self) -> None:
        issuer = Issuer()
        async with by_uri(issuer) as (source, clock):
            await source.get()
            issuer.rejects = True
            source.rejected()
            assert await source.get() == issued(1)
            clock.jump(wall=3700.0)
            with pytest.raises(AuthError, match="no credentials of type credentials_uri"):
                await source.get()
            issuer.rejects = False
            await clock.advance(PAUSE)
            assert (await source.get()).access_key_id.startswith("STS.")

    async def test_a_failure_is_reported_to_all_who_wait_and_tried_again_after_a_pause(self) -> None:
        issuer = Issuer(rejects=True)
        async with by_uri(issuer) as (source, clock):
            found = await asyncio.gather(*(source.get() for _ in range(20)), return_exceptions=True)
            assert all(isinstance(error, AuthError) for error in found)
            assert len(issuer.seen) == 1
            issuer.rejects = False
            await clock.advance(PAUSE)
            assert await source.get() == issued(2)

    async def test_a_failure_keeps_code_and_request_id_and_nothing_else_of_the_answer(
        self, capfd: pytest.CaptureFixture[str]
    ) -> None:
        async with by_uri(Issuer(rejects=True)) as (source, _):
            with pytest.raises(AuthError) as caught:
                await source.get()
        error = caught.value
        assert (error.code, error.request_id) == ("NoPermission", "STS-1")
        assert error.advice == TYPES["credentials_uri"]
        assert "SECRET" not in f"{error} {vars(error)} {error.__cause__}"
        assert capfd.readouterr() == ("", "")

    async def test_the_librarys_loggers_print_nothing(self) -> None:
        async with by_uri(Issuer()) as (source, _):
            await source.get()
        for name in ("credentials", "alibabacloud-tea"):
            logger = logging.getLogger(name)
            assert [type(handler) for handler in logger.handlers] == [logging.NullHandler]
            assert not logger.propagate

    async def test_a_caller_who_gives_up_spoils_nothing(self) -> None:
        issuer = Issuer(delay=0.05)
        async with by_uri(issuer) as (source, _):
            caller = asyncio.create_task(source.get())
            while not issuer.seen:
                await asyncio.sleep(0.001)
            caller.cancel()
            with pytest.raises(asyncio.CancelledError):
                await caller
            assert (await source.get()).access_key_id.startswith("STS.")

    async def test_a_role_is_assumed_with_the_key_of_the_files_and_again_when_they_change(
        self, mounted: Mounted
    ) -> None:
        mounted.write(id="base", secret="secret")
        issuer, clock = Issuer(), ScriptedClock(time.time())
        async with serving(issuer) as address:
            source = provider(
                "ram_role_arn",
                clock,
                access_key_id_file=mounted.place / "id",
                access_key_secret_file=mounted.place / "secret",
                options={"role_arn": ROLE, "sts_endpoint": address},
            )
            assert await source.get() == issued(1)
            mounted.write(id="esab", secret="terces")
            await clock.advance(REQUEST_AGAIN)
            assert await source.get() == issued(2)
        queries = [request.query for request in issuer.seen]
        assert [query["AccessKeyId"] for query in queries] == ["base", "esab"]
        assert (queries[0]["Action"], queries[0]["RoleArn"]) == ("AssumeRole", ROLE)
        assert queries[0]["RoleSessionName"] == "directmail-exporter"

    async def test_a_role_is_assumed_with_the_token_of_a_cluster(self, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("oidc-token")
        options = {
            "role_arn": ROLE,
            "oidc_provider_arn": PROVIDER,
            "oidc_token_file": str(tmp_path / "token"),
            "role_session_name": "mine",
        }
        issuer = Issuer()
        async with serving(issuer) as address:
            source = provider("oidc_role_arn", ScriptedClock(time.time()), options={**options, "sts_endpoint": address})
            assert await source.get() == issued(1)
        (request,) = issuer.seen
        assert request.query["Action"] == "AssumeRoleWithOIDC"
        assert request.query["OIDCToken"] == "oidc-token"
        assert request.query["RoleSessionName"] == "mine"

    async def test_a_cluster_with_rrsa_has_all_that_a_role_needs_in_the_environment(self, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("oidc-token")
        environment = {
            "ALIBABA_CLOUD_ROLE_ARN": ROLE,
            "ALIBABA_CLOUD_OIDC_PROVIDER_ARN": PROVIDER,
            "ALIBABA_CLOUD_OIDC_TOKEN_FILE": str(tmp_path / "token"),
        }
        issuer = Issuer()
        async with serving(issuer) as address:
            source = provider(
                "oidc_role_arn",
                ScriptedClock(time.time()),
                options={"sts_endpoint": address, "session_duration": "1800"},
                environment=environment,
            )
            assert await source.get() == issued(1)
        (request,) = issuer.seen
        assert (request.query["RoleArn"], request.query["OIDCProviderArn"]) == (ROLE, PROVIDER)
        assert request.query["DurationSeconds"] == "1800"

    async def test_what_a_cluster_does_not_set_is_named_with_its_variable(self) -> None:
        environment = {"ALIBABA_CLOUD_ROLE_ARN": ROLE}
        with pytest.raises(AuthError, match="need oidc_provider_arn") as caught:
            await provider("oidc_role_arn", ScriptedClock(), environment=environment).get()
        assert "ALIBABA_CLOUD_OIDC_PROVIDER_ARN" in caught.value.advice

    async def test_a_role_is_assumed_with_the_key_of_the_environment_where_no_files_are_named(self) -> None:
        issuer = Issuer()
        async with serving(issuer) as address:
            source = provider(
                "ram_role_arn",
                ScriptedClock(time.time()),
                options={"role_arn": ROLE, "sts_endpoint": address, "external_id": "shop", "policy": "{}"},
                environment={ID: "base", SECRET: "secret"},
            )
            assert await source.get() == issued(1)
        (request,) = issuer.seen
        assert {name: request.query[name] for name in ("AccessKeyId", "ExternalId", "Policy", "DurationSeconds")} == {
            "AccessKeyId": "base",
            "ExternalId": "shop",
            "Policy": "{}",
            "DurationSeconds": "3600",
        }

    async def test_a_server_that_never_responds_times_out_before_the_process_has_to_end(self) -> None:
        assert CONNECT_TIMEOUT + READ_TIMEOUT <= 5000

    async def test_credentials_that_are_near_their_end_from_the_start_are_one_request_each_time(self) -> None:
        issuer = Issuer(lifetime=600)
        async with by_uri(issuer) as (source, clock):
            assert await source.get() == issued(1)
            await clock.advance(REQUEST_AGAIN)
            assert await source.get() == issued(2)
        assert len(issuer.seen) == 2

    def test_the_default_chain_finds_the_environment(self, tmp_path: Path) -> None:
        program = (  # of its own: the library reads the environment when it is imported
            "import asyncio; from exporter.clock import SystemClock\n"
            "from exporter.directmail.credential_provider import provider\n"
            "print(asyncio.run(provider('default', SystemClock()).get()).secrets())"
        )
        variables = {ID: "key", SECRET: "secret", "HOME": str(tmp_path), "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true"}
        found = subprocess.run(
            [sys.executable, "-c", program], env=variables, capture_output=True, text=True, timeout=30, check=False
        )
        assert (found.stdout, found.stderr) == ("('key', 'secret')\n", "")

    async def test_a_missing_token_file_is_a_failure_to_authenticate(self, tmp_path: Path) -> None:
        options = {"role_arn": ROLE, "oidc_provider_arn": "p", "oidc_token_file": str(tmp_path / "none")}
        with pytest.raises(AuthError, match=r"oidc_role_arn: .*/none is missing") as caught:
            await provider("oidc_role_arn", ScriptedClock(), options=options).get()
        assert "token file" in caught.value.advice

    async def test_key_files_that_cannot_be_read_are_named(self, tmp_path: Path) -> None:
        none = tmp_path / "none"
        source = provider(
            "ram_role_arn",
            ScriptedClock(),
            access_key_id_file=none,
            access_key_secret_file=none,
            options={"role_arn": ROLE},
        )
        with pytest.raises(AuthError, match="none cannot be read"):
            await source.get()

    @pytest.mark.parametrize(
        ("kind", "uses_metadata"),
        [
            *[(kind, False) for kind in ("environment", "files", "ram_role_arn", "oidc_role_arn", "credentials_uri")],
            *[(kind, True) for kind in ("default", "ecs_ram_role")],
        ],
    )
    async def test_the_metadata_address_is_off_unless_the_type_needs_it(
        self, kind: str, uses_metadata: bool, tmp_path: Path
    ) -> None:
        """Even where nothing switches it off. No request gets there: a proxy on loopback replaces it."""
        (tmp_path / "file").write_text("text")
        metadata, sts = Metadata(), Issuer()
        async with serving(metadata) as proxy, serving(sts) as address:
            program = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", GUARDED, kind, str(tmp_path / "file"), address),
                env=suite_clock.environment()
                | {"HOME": str(tmp_path), "HTTP_PROXY": proxy, "http_proxy": proxy, "NO_PROXY": "127.0.0.1"},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            shown = (await program.communicate())[0].decode()
        assert (METADATA in {request.host for request in metadata.seen}) == uses_metadata
        assert shown == ("no credentials\n" if kind == "environment" else "credentials\n")

    async def test_the_metadata_address_stays_off_where_it_is_switched_off(self) -> None:
        with pytest.raises(AuthError, match="ecs_ram_role: the metadata address is disabled") as caught:
            await provider("ecs_ram_role", ScriptedClock()).get()
        assert "ALIBABA_CLOUD_ECS_METADATA_DISABLED" in caught.value.advice

    async def test_a_server_that_is_not_there_is_reported_in_plain_words(self, unused_tcp_port: int) -> None:
        options = {"credentials_uri": f"http://127.0.0.1:{unused_tcp_port}/"}
        with pytest.raises(AuthError, match=r"credentials_uri: connection refused$"):
            await FromRam("credentials_uri", options, ScriptedClock()).get()

    async def test_a_name_of_sts_that_does_not_exist_is_reported(self) -> None:
        error = await failing_at(f"http://{NO_NAME}")
        assert error.text == "no credentials of type ram_role_arn: name not found"
        assert "set sts_endpoint to sts-vpc" in error.advice

    async def test_a_certificate_of_sts_that_is_not_trusted_is_reported_with_its_reason(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        authority = Authority(tmp_path)
        async with serving(Issuer(), authority.issue("sts")) as address:
            error = await failing_at(address)
        reason = "certificate not trusted: unable to get local issuer certificate"
        assert error.text == f"no credentials of type ram_role_arn: {reason}"
        assert "SSL_CERT_FILE" in error.advice

    async def test_an_expired_certificate_of_sts_points_to_the_clock(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        authority = Authority(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        async with serving(Issuer(), authority.issue("sts", days=(-9, -2))) as address:
            error = await failing_at(address)
        assert error.text.endswith("certificate not trusted: certificate has expired")
        assert "clock" in error.advice

    async def test_an_authority_that_ssl_cert_file_names_is_trusted_for_sts_too(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        authority = Authority(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        async with serving(Issuer(), authority.issue("sts")) as address:
            assert await at_sts(address).get() == issued(1)

    async def test_the_response_of_sts_is_reported_without_the_key_that_it_repeats(self) -> None:
        class Echo(Issuer):
            async def respond(self, request: web.Request) -> web.Response:
                return web.json_response({"Code": BASE, "Message": BASE, "RequestId": BASE}, status=403)

        async with serving(Echo()) as address:
            error = await failing_at(address)
        assert error.text == "no credentials of type ram_role_arn: the server gave none (HTTP 403)"
        assert BASE not in f"{error} {vars(error)}"

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            pytest.param("[]", "the server gave none", id="a-list"),
            pytest.param('{"Credentials": 7}', "the response is invalid", id="a-number"),
            pytest.param("{}", "the server gave none", id="nothing"),
            pytest.param("<html>", "the response is not JSON", id="HTML"),
            pytest.param('{"Credentials": {"AccessKeyId": "a"}}', "the server gave none", id="half-a-key"),
            pytest.param(
                '{"Credentials": {"AccessKeyId": 1, "AccessKeySecret": 2, "SecurityToken": 3, "Expiration": "d"}}',
                "the response is invalid",
                id="no-date",
            ),
        ],
    )
    async def test_no_class_is_named_whatever_sts_answers(self, text: str, says: str) -> None:
        class Nonsense(Issuer):
            async def respond(self, request: web.Request) -> web.Response:
                return web.Response(text=text)

        async with serving(Nonsense()) as address:
            assert (await failing_at(address)).text == f"no credentials of type ram_role_arn: {says}"

    async def test_a_way_to_sts_that_a_vpc_lacks_is_named(self, unused_tcp_port: int) -> None:
        source = provider(
            "ram_role_arn",
            ScriptedClock(),
            options={"role_arn": ROLE, "sts_endpoint": f"http://127.0.0.1:{unused_tcp_port}"},
            environment={ID: "key", SECRET: "secret"},
        )
        with pytest.raises(AuthError) as caught:
            await source.get()
        assert "set sts_endpoint to sts-vpc" in caught.value.advice

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param("[]", id="a list"),
            pytest.param("<html>", id="HTML"),
            pytest.param(
                '{"Code": "Success", "AccessKeyId": "", "AccessKeySecret": "", "SecurityToken": "",'
                ' "Expiration": "2099-01-01T00:00:00Z"}',
                id="empty keys",
            ),
            *(
                pytest.param(
                    f'{{"Code": "Success", "AccessKeyId": {key}, "AccessKeySecret": "s", "SecurityToken": {token},'
                    ' "Expiration": "2099-01-01T00:00:00Z"}',
                    id=name,
                )
                for name, key, token in (
                    ("half a character", r'"\ud800"', '"t"'),
                    ("a line break", '"k"', r'"t\nx-acs-action: other"'),
                    ("a number for a key", "7", '"t"'),
                    ("a list for a token", '"k"', '["t"]'),
                )
            ),
            pytest.param(
                '{"Code": "&#' + "1" * 5000 + ';", "Message": "%' + "25" * 2000 + '"}', id="escapes without end"
            ),
        ],
    )
    async def test_a_server_that_answers_nonsense_is_a_failure_to_authenticate(self, text: str) -> None:
        class Nonsense(Issuer):
            async def respond(self, request: web.Request) -> web.Response:
                return web.Response(text=text)

        async with by_uri(Nonsense()) as (source, _):
            with pytest.raises(AuthError, match="no credentials of type credentials_uri"):
                await source.get()

    async def test_without_the_extra_there_is_one_line_with_the_command(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "alibabacloud_credentials.client", None)
        with pytest.raises(AuthError) as caught:
            await provider("default", ScriptedClock()).get()
        assert caught.value.advice == "Install it: pip install alibabacloud-credentials."
        assert str(caught.value) == "credentials of type default need alibabacloud-credentials"


class TestTheChoice:
    async def test_without_settings_the_environment_is_read(self) -> None:
        source = provider("environment", ScriptedClock(), environment={ID: "key", SECRET: "secret"})
        assert await source.get() == Credentials("key", "secret")
        assert source.expires_at is None

    async def test_files_are_read_where_they_are_named(self, mounted: Mounted) -> None:
        mounted.write(id="key", secret="secret")
        source = provider(
            "files",
            ScriptedClock(),
            access_key_id_file=mounted.place / "id",
            access_key_secret_file=mounted.place / "secret",
        )
        assert await source.get() == Credentials("key", "secret")
        assert source.expires_at is None
