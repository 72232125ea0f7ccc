"""Checks of passwords: each made once, in turns, with the same number of rounds, and none waited for at the end."""

import asyncio
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest

from exporter.web.passwords import CACHED_RESULTS, EVEN_COST, LONGEST_QUEUE, Busy, Passwords
from exporter.web.webconfig import BCRYPT
from tests.support.processes import PATIENCE, program
from tests.support.web import login

HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4))


def of_cost(cost: int) -> bytes:
    """Return a hash that says it has this cost; what is in it is of another."""
    return HASH[:4] + b"%02d" % cost + HASH[6:]


class Slow:
    """Checks that last until the test lets them continue, and that know one password."""

    def __init__(self) -> None:
        self.free = threading.Semaphore(0)
        self.checked: list[str] = []

    def __call__(self, secret: bytes, hashed: bytes) -> bool:
        assert self.free.acquire(timeout=PATIENCE)
        self.checked.append(secret.decode())
        return secret == b"secret"

    def go_on(self, checks: int = 10_000) -> None:
        self.free.release(checks)


@pytest.fixture
def slow() -> Iterator[Slow]:
    check = Slow()
    yield check
    check.go_on()


class TestCachedResults:
    async def test_a_result_is_cached(self) -> None:
        passwords = Passwords({"alice": HASH})
        assert await passwords.right("alice", "secret")
        assert not await passwords.right("alice", "wrong")
        passwords.close()  # from now on nothing can be checked anew
        assert await passwords.right("alice", "secret")
        assert not await passwords.right("alice", "wrong")
        with pytest.raises(Busy):
            await passwords.right("alice", "another")

    async def test_guesses_do_not_evict_right_passwords(self) -> None:
        passwords = Passwords({"alice": HASH})
        assert await passwords.right("alice", "secret")
        for number in range(CACHED_RESULTS + 5):
            assert not await passwords.right("alice", f"guess {number}")
        passwords.close()
        assert await passwords.right("alice", "secret")
        assert len(passwords._results) == CACHED_RESULTS

    async def test_a_hash_made_by_htpasswd_is_accepted(self) -> None:
        """htpasswd writes $2y$, Python's bcrypt $2b$."""
        assert await Passwords({"alice": HASH.replace(b"$2b$", b"$2y$")}).right("alice", "secret")

    async def test_a_check_that_fails_is_an_error_for_those_who_wait_and_for_no_others(self) -> None:
        def check(secret: bytes, hashed: bytes) -> bool:
            return bool(1 // (secret != b"bad"))

        passwords = Passwords({"alice": HASH}, check)
        bad, good = asyncio.create_task(passwords.right("alice", "bad")), passwords.right("alice", "secret")
        await asyncio.sleep(0)
        assert await good
        with pytest.raises(ZeroDivisionError):
            await bad


class TestRounds:
    @pytest.mark.parametrize(
        ("user", "password"),
        [
            pytest.param("cheap", "secret", id="right"),
            pytest.param("cheap", "wrong", id="wrong"),
            pytest.param("dear", "wrong", id="dear-hash"),
            pytest.param("nobody", "secret", id="unknown-user"),
        ],
    )
    async def test_they_are_the_same_for_every_user_name(self, user: str, password: str) -> None:
        rounds = []

        def check(secret: bytes, hashed: bytes) -> bool:
            rounds.append(2 ** int(hashed[4:6]))
            return bcrypt.checkpw(secret, hashed)

        dear = bcrypt.hashpw(b"other", bcrypt.gensalt(7))
        passwords = Passwords({"cheap": HASH, "dear": dear}, check)
        assert await passwords.right(user, password) == ((user, password) == ("cheap", "secret"))
        assert sum(rounds) == 2**7

    @pytest.mark.parametrize(("user", "cost"), [("cheap", EVEN_COST), ("dear", 15), ("nobody", EVEN_COST)])
    async def test_a_very_dear_hash_makes_no_other_login_slower(self, user: str, cost: int) -> None:
        rounds = []

        def check(secret: bytes, hashed: bytes) -> bool:
            rounds.append(2 ** int(hashed[4:6]))
            return True

        await Passwords({"cheap": of_cost(10), "dear": of_cost(15)}, check).right(user, "secret")
        assert sum(rounds) == 2**cost

    def test_no_password_matches_the_dummy_hash(self) -> None:
        made_up = Passwords({"alice": of_cost(11)})._dummy
        assert re.fullmatch(BCRYPT, made_up.decode())
        assert made_up[4:6] == b"11"


class TestManyAtOnce:
    async def test_sixty_first_logins_are_all_answered(self, slow: Slow) -> None:
        passwords = Passwords({"alice": HASH}, slow)
        words = [f"guess {number}" if number % 2 else "secret" for number in range(60)]
        logins = [asyncio.create_task(passwords.right("alice", word)) for word in words]
        await asyncio.sleep(0)
        slow.go_on()
        assert [await each for each in logins] == [word == "secret" for word in words]
        assert len(slow.checked) == 31  # the right one is checked once for all

    async def test_any_number_of_one_password_is_one_check(self, slow: Slow) -> None:
        passwords = Passwords({"alice": HASH}, slow)
        logins = [asyncio.create_task(passwords.right("alice", "secret")) for _ in range(10 * LONGEST_QUEUE)]
        await asyncio.sleep(0)
        slow.go_on()
        assert all([await each for each in logins])
        assert slow.checked == ["secret"]

    @pytest.mark.parametrize(
        ("user", "address"), [("bob", "192.0.2.1"), ("alice", "192.0.2.2")], ids=["another-user", "another-address"]
    )
    async def test_of_too_many_the_guesses_are_rejected_and_others_take_turns_with_them(
        self, user: str, address: str, slow: Slow
    ) -> None:
        passwords = Passwords({"alice": HASH, "bob": HASH}, slow)
        guesses = [
            asyncio.create_task(passwords.right("alice", f"guess {number}", "192.0.2.1"))
            for number in range(LONGEST_QUEUE)
        ]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await passwords.right("alice", "one more guess", "192.0.2.1")
        right = asyncio.create_task(passwords.right(user, "secret", address))
        await asyncio.sleep(0)
        slow.go_on()
        assert await right
        assert slow.checked.index("secret") <= 2  # after the guess that was being checked, and one more
        ended = await asyncio.gather(*guesses, return_exceptions=True)
        assert [type(each) for each in ended] == [bool] * (LONGEST_QUEUE - 1) + [Busy]

    async def test_logins_of_different_users_are_all_queued(self, slow: Slow) -> None:
        users = {f"user {number}": HASH for number in range(2 * LONGEST_QUEUE)}
        passwords = Passwords(users, slow)
        logins = [asyncio.create_task(passwords.right(user, "secret", "192.0.2.1")) for user in users]
        await asyncio.sleep(0)
        slow.go_on()
        assert all([await each for each in logins])

    async def test_one_client_that_disconnects_does_not_cancel_the_check_for_others(self, slow: Slow) -> None:
        passwords = Passwords({"alice": HASH}, slow)
        logins = [asyncio.create_task(passwords.right("alice", "secret")) for _ in range(2)]
        await asyncio.sleep(0)
        logins[0].cancel()
        slow.go_on()
        assert await logins[1]


class TestTheEnd:
    async def test_all_that_wait_are_answered_at_once(self, slow: Slow) -> None:
        passwords = Passwords({"alice": HASH}, slow)
        logins = [asyncio.create_task(passwords.right("alice", f"{number}")) for number in range(3)]
        await asyncio.sleep(0)
        passwords.close()
        ended = await asyncio.gather(*logins, return_exceptions=True)
        assert [type(each) for each in ended] == [Busy] * 3
        assert slow.checked == []

    async def test_the_program_does_not_wait_for_a_check(self, tmp_path: Path) -> None:
        """Here one that never ends; one of bcrypt lasts seconds, and nothing can interrupt it."""
        (tmp_path / "config.yaml").write_text(
            "targets: [{name: shop, endpoint: 'http://127.0.0.1:9', queries: [{name: account}]}]\n"
        )
        (tmp_path / "web.yml").write_text(f"basic_auth_users: {{alice: {HASH.decode()}}}\n")
        (tmp_path / "endless.py").write_text(
            "import bcrypt, threading\n"
            "bcrypt.checkpw = lambda *_: print('checking', flush=True) or threading.Event().wait()\n"
            "from exporter.commands.main import main\nmain()\n"
        )
        flags = ("--config.file", f"{tmp_path}/config.yaml", "--web.config.file", f"{tmp_path}/web.yml")
        async with program(
            *(*flags, "--web.listen-address", "127.0.0.1:0"),
            module="endless",
            environment={"PYTHONPATH": os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))},
        ) as exporter:
            address = await exporter.address()
            host, port = address.split(":")
            _, writer = await asyncio.open_connection(host, int(port))
            name, value = next(iter(login("alice", "secret").items()))
            writer.write(f"GET / HTTP/1.1\r\nHost: x\r\n{name}: {value}\r\n\r\n".encode())
            await exporter.line_with("checking")
            assert await exporter.end() == 0
            writer.close()
