"""A first config from nothing but a key: what the account has, as far as the key may see it and the budget goes."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import pytest
import yaml

from exporter.commands import init, init_config
from exporter.commands.init import NoConfig, drafted, summary
from exporter.commands.init_config import Draft
from exporter.commands.init_survey import Survey
from exporter.config import loader
from exporter.config.model import Config, Query
from exporter.directmail.errors import PermissionDenied
from exporter.plan import target_plan
from exporter.reload import checked
from exporter.simulator.account import STREAMS
from exporter.simulator.behaviour import Behaviour
from exporter.simulator.call import Inventory
from exporter.simulator.faults import Fault
from exporter.simulator.server import Simulator
from exporter.simulator.traffic import Traffic
from tests.support.clock import ScriptedClock
from tests.support.command_line import run
from tests.support.processes import program
from tests.support.programs import KEYS, SENDERS

TRAFFIC = Traffic()
EVERYTHING = ["account", "by_sender", "by_domain", "by_esp", "by_tag", "by_ip", "by_pool"]
DENIABLE = {
    "QueryMailAddressByParam": {"by_sender", "by_tag", "account_interval"},
    "QueryTagByParam": {"by_tag"},
    "QueryDomainByParam": {"by_domain", "domains_interval"},
    "DedicatedIpList": {"by_ip"},
    "DedicatedIpPoolList": {"by_pool"},
    "DescAccountSummary": {"account_interval"},
    "DescDomain": {"domains_interval"},
}
"""What a config cannot have where the key may not call an operation."""


def account(
    *faults: Fault,
    senders: Sequence[str] | None = None,
    tags: Sequence[str] | None = None,
    domains: Sequence[str] | None = None,
    **behaviour: object,
) -> Simulator:
    inventory = Inventory()
    inventory.tags = inventory.tags if tags is None else tags
    inventory.domains = inventory.domains if domains is None else domains
    api = Simulator(
        TRAFFIC,
        clock=ScriptedClock(skip_sleeps=True),
        faults=list(faults),
        behaviour=Behaviour(**{"calls_per_minute": 100_000, **behaviour}),  # type: ignore[arg-type]
        inventory=inventory,
    )
    api.senders = api.senders if senders is None else senders
    return api


def denied(action: str) -> Fault:
    return Fault("forbidden", action=action)


async def made(api: Simulator, environment: Mapping[str, str] = KEYS) -> tuple[str, Config, list[Draft]]:
    """Return the config that `init` writes for an account, as text and as loaded, with its drafts."""
    async with api.listen() as url:
        drafts = await drafted([("", url)], api.clock, environment=environment)
    return (*loaded(drafts), drafts)


def loaded(drafts: list[Draft]) -> tuple[str, Config]:
    text = init_config.render(drafts, date(2026, 4, 22))
    return text, checked("config.yaml", *loader.parse(text))


def queries(config: Config) -> dict[str, Query]:
    return {query.name: query for query in config.targets[0].queries}


def tags(config: Config) -> set[tuple[str, str]]:
    """Return the senders and tags of all blocks of `by_tag`."""
    blocks = [query.filters for query in config.targets[0].queries if query.name == "by_tag"]
    return {(sender, tag) for each in blocks for sender in each["account_name"] for tag in each["tag_name"]}


class TestEverythingAllowed:
    async def test_every_breakdown_of_both_statistics_is_requested(self) -> None:
        text, config, drafts = await made(account())
        found = queries(config)
        assert list(found) == EVERYTHING
        assert all(query.statistics == ("engagement", "delivery") for query in found.values())
        assert set(found["by_sender"].filters["account_name"]) == set(SENDERS)
        assert tags(config) == {(stream.sender, stream.tag) for stream in STREAMS}
        assert set(found["by_domain"].filters["domain"]) == {stream.domain for stream in STREAMS}
        assert (config.account_interval, config.domains_interval) == (3600.0, 3600.0)
        assert "Left out" not in text
        assert "Left out" not in "\n".join(summary(config, drafts, Path("config.yaml")))

    async def test_the_senders_with_most_mail_come_first(self) -> None:
        _, config, _ = await made(account())
        month = dict.fromkeys(SENDERS, 0.0)
        for stream in STREAMS:
            month[stream.sender] += stream.volume * (30 if stream.kind != "campaign" else 4)
        assert queries(config)["by_sender"].filters["account_name"][0] == max(month, key=lambda name: month[name])

    async def test_it_prints_the_plan_and_the_three_commands_to_continue_with(self) -> None:
        _, config, drafts = await made(account())
        lines = list(summary(config, drafts, Path("my config.yaml")))
        assert lines[0] == "directmail: 3 senders, 6 tags, 2 domains, 2 dedicated IPs, 2 pools"
        assert any("calls a minute" in line for line in lines)
        assert [line.strip() for line in lines[-3:]] == [
            "directmail-exporter doctor --config.file 'my config.yaml'",
            "directmail-exporter show --config.file 'my config.yaml' --query by_sender",
            "directmail-exporter --config.file 'my config.yaml'",
        ]

    async def test_it_keeps_to_the_budget_of_the_config_that_it_writes(self) -> None:
        api = account()
        _, config, _ = await made(api)
        for action in {seen.action for seen in api.requests}:
            times = [seen.at for seen in api.requests if seen.action == action]
            most = config.targets[0].rate_limit_per_minute
            assert all(sum(start <= time < start + 60 for time in times) <= most for start in times)
        assert len(api.requests) <= 60


class TestARestrictedKey:
    @pytest.mark.parametrize("action", DENIABLE)
    async def test_what_it_may_not_list_is_a_comment_with_the_missing_permission(self, action: str) -> None:
        text, config, drafts = await made(account(denied(action)))
        missing = DENIABLE[action]
        requested = {
            *queries(config),
            *(key for key in ("account_interval", "domains_interval") if getattr(config, key)),
        }
        assert requested == {*EVERYTHING, "account_interval", "domains_interval"} - missing
        comments = [line for line in text.splitlines() if line.lstrip().startswith("#")]
        assert sum(f"lacks the permission dm:{action} (Forbidden.RAM)" in line for line in comments) == len(missing)
        printed = "\n".join(summary(config, drafts, Path("config.yaml")))
        assert all(f"{name}: the key lacks the permission dm:{action}" in printed for name in missing)
        needed = f'"dm:{action}"' + ', "dm:DescDomain"' * (action == "QueryDomainByParam")
        assert f'"Action": [{needed}]' in printed

    async def test_without_a_list_of_senders_providers_are_those_of_the_account(self) -> None:
        _, config, _ = await made(account(denied("QueryMailAddressByParam")))
        assert list(queries(config)["by_esp"].filters) == ["esp"]

    @pytest.mark.parametrize(
        ("action", "left"),
        [("SenderStatisticsByTagNameAndBatchID", "engagement"), ("GetTrackList", "delivery")],
    )
    async def test_only_one_statistic_is_requested_where_the_other_is_denied(self, action: str, left: str) -> None:
        text, config, _ = await made(account(denied(action)))
        assert {query.statistics for query in config.targets[0].queries} == {(left,)}
        assert list(queries(config)) == EVERYTHING
        assert f"lacks the permission dm:{action}" in text

    def test_a_restricted_account_is_not_mistaken_for_a_missing_permission(self) -> None:
        _, target = init_config.target_of("us-east-1")
        error = PermissionDenied("the account is on a blacklist", code="User.Blacklisted")
        found = Survey(target, failures={"GetTrackList": error})
        assert found.denied == ()
        assert init_config.failed(found, "GetTrackList") == (
            "GetTrackList failed: the account is on a blacklist (User.Blacklisted)"
        )

    async def test_without_any_statistic_nothing_is_written_and_the_policy_is_named(self) -> None:
        api = account(denied("GetTrackList"), denied("SenderStatisticsByTagNameAndBatchID"))
        with pytest.raises(NoConfig) as raised:
            await made(api)
        assert "no statistic can be read" in str(raised.value)
        assert '"dm:GetTrackList", "dm:SenderStatisticsByTagNameAndBatchID"' in str(raised.value)

    async def test_a_rejected_key_costs_one_request(self) -> None:
        api = account()
        with pytest.raises(NoConfig, match="the API rejected the credentials"):
            await made(api, {**KEYS, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "wrong"})
        assert len(api.requests) == 1

    async def test_without_a_key_nothing_is_requested(self) -> None:
        api = account()
        with pytest.raises(NoConfig, match="no credentials: ALIBABA_CLOUD_ACCESS_KEY_ID") as raised:
            await made(api, {})
        assert str(raised.value).endswith(
            "are not both set. Set both variables: init has no config yet that could name files with a key."
        )
        assert not api.requests


class TestFiltersThatDoNotWork:
    @pytest.mark.parametrize(
        ("way", "why"),
        [
            ("error", "the API rejects the filter"),
            ("empty", "no value has mail"),
            ("whole", "every value matches all mail"),
        ],
    )
    async def test_providers_are_left_out_where_the_account_cannot_distinguish_them(self, way: str, why: str) -> None:
        text, config, _ = await made(account(no_dedicated_ips=way))
        assert "by_esp" not in queries(config)
        (line,) = [line for line in text.splitlines() if "by_esp" in line]
        assert line.strip().startswith("# Left out, by_esp: ")
        assert why in line

    async def test_domains_are_left_out_where_the_filter_is_ignored(self) -> None:
        text, config, _ = await made(account(domain_filter="ignored"))
        assert "by_domain" not in queries(config)
        assert "# Left out, by_domain: the API ignores the filter" in text

    async def test_one_domain_alone_would_repeat_the_account(self) -> None:
        text, config, _ = await made(account(domains=["mail.example.com"]))
        assert "by_domain" not in queries(config)
        assert "the account has one domain" in text

    async def test_an_account_that_sends_nothing_leaves_out_what_could_not_be_tried(self) -> None:
        text, config, _ = await made(account(Fault("empty", action="GetTrackList")))
        assert list(queries(config)) == ["account", "by_sender", "by_tag", "by_ip", "by_pool"]
        assert "no day of the last 7 has the 100 mails that a trial needs" in text

    async def test_an_account_without_senders_and_tags_is_requested_as_a_whole(self) -> None:
        text, config, _ = await made(account(senders=[], tags=[], domains=[], no_dedicated_ips="error"))
        assert list(queries(config)) == ["account"]
        assert "# Left out, by_sender: QueryMailAddressByParam lists nothing." in text
        assert config.domains_interval is None


class TestTheBudget:
    async def test_long_lists_are_discovered_with_room_for_new_values(self) -> None:
        senders = [f"s{number}@mail.example.com" for number in range(40)]
        _, config, _ = await made(account(senders=senders, tags=[f"t{number}" for number in range(30)]))
        found = queries(config)
        assert found["by_sender"].discovered["account_name"].limit == 50
        assert found["by_tag"].discovered["tag_name"].limit == 37
        assert len(found["by_tag"].filters["account_name"]) < 20

    @pytest.mark.parametrize("count", [1, 20, 21, 90, 250, 1200])
    async def test_the_plan_polls_often_enough_however_much_the_account_has(self, count: int) -> None:
        """Where lists are discovered, that holds when they have all that their limits allow."""
        names = [f"v{number}" for number in range(count)]
        text, config, drafts = await made(
            account(senders=[f"{name}@{name}.example.com" for name in names[:300]], tags=names, domains=names)
        )
        whole = yaml.safe_load(text)
        for query in whole["targets"][0]["queries"]:
            for key, value in query.items():
                if isinstance(value, dict):
                    query[key] = [f"x{number}" for number in range(value["limit"])]
        full = checked("full", *loader.parse(yaml.safe_dump(whole)))
        assert all(plan.poll_interval <= init_config.LONGEST_POLL for plan in target_plan.make_all(full))
        printed = "\n".join(summary(config, drafts, Path("config.yaml")))
        assert all(f"query {name}:" in printed for name in queries(config))

    async def test_a_smaller_budget_is_respected_and_written(self) -> None:
        api = account()
        async with api.listen() as url:
            drafts = await drafted([("", url)], api.clock, environment=KEYS, per_minute=2.5)
        _, config = loaded(drafts)
        assert config.targets[0].rate_limit_per_minute == 2.5
        found = queries(config)
        assert list(found) == ["account", "by_sender", "by_domain", "by_esp", "by_tag"]
        assert found["by_esp"].filters["account_name"] == (SENDERS[0],)
        assert tags(config) == {(stream.sender, stream.tag) for stream in STREAMS}
        assert all(plan.poll_interval <= init_config.LONGEST_POLL for plan in target_plan.make_all(config))

    async def test_what_does_not_fit_is_left_out_with_the_reason(self) -> None:
        names = [f"v{number}" for number in range(300)]
        text, config, _ = await made(account(senders=[f"{name}@mail.example.com" for name in names]))
        assert "by_tag" not in queries(config)
        assert "would raise the poll interval above 15m at 30 calls a minute" in text


class TestTags:
    async def test_tags_without_mail_are_named_in_a_comment(self) -> None:
        used = sorted({stream.tag for stream in STREAMS})
        text, config, _ = await made(account(tags=[*used, "old: one", "# odd\u2028line"]))
        assert tags(config) == {(stream.sender, stream.tag) for stream in STREAMS}
        assert "# The tags that each sender used in the last 7 days. Unused tags, to be added by hand: " in text
        assert "['old: one', \"# odd\\Lline\"]" in text

    @pytest.mark.parametrize(
        "way",
        [
            pytest.param(Fault("error", where={"TagName": "promo"}), id="requests-fail"),
            pytest.param(Fault("empty", where={"EndTime": "2026-04-21", "StartTime": "2026-04-15"}), id="no-mail"),
        ],
    )
    async def test_where_usage_is_unknown_every_pair_is_in_the_config(self, way: Fault) -> None:
        _, config, _ = await made(account(way))
        assert len(tags(config)) == 18

    async def test_usage_of_many_values_is_not_looked_up(self) -> None:
        api = account(tags=[f"t{number}" for number in range(21)])
        await made(api)
        assert not [seen for seen in api.requests if "TagName" in seen.parameters]


NASTY = [
    "no",
    "1e3",
    "007",
    "a: b",
    "# x",
    "'",
    '"',
    "{",
    "- a",
    "双十一",
    "<<",
    "=",
    "~",
    "a\u2028b",
    "x, y",
    "&a",
    "!t",
]


class TestNames:
    async def test_names_that_yaml_reads_as_something_else_arrive_as_they_are(self) -> None:
        _, config, _ = await made(account(tags=NASTY))
        assert set(queries(config)["by_tag"].filters["tag_name"]) == set(NASTY)

    async def test_names_that_a_config_cannot_hold_are_left_out(self) -> None:
        _, config, _ = await made(account(tags=["weekly", " weekly", "*", "a\ufffeb"]))
        assert queries(config)["by_tag"].filters["tag_name"] == ("weekly",)


class TestRegions:
    async def test_without_a_region_those_with_senders_are_written(self) -> None:
        asia, empty, europe = account(), account(senders=[]), account(denied("QueryMailAddressByParam"))
        async with asia.listen() as first, empty.listen() as second, europe.listen() as third:
            hosts = {"ap-southeast-1": first, "us-east-1": second, "eu-central-1": third}
            drafts = await drafted([(name, "") for name in hosts], asia.clock, environment=KEYS, hosts=hosts)
        _, config = loaded(drafts)
        (target,) = config.targets
        assert (target.name, target.region) == ("ap-southeast-1", "ap-southeast-1")
        assert [seen.action for seen in asia.requests].count("QueryMailAddressByParam") == 1
        assert len(empty.requests) == len(europe.requests) == 1

    async def test_two_regions_are_two_targets(self) -> None:
        asia, america = account(), account()
        async with asia.listen() as first, america.listen() as second:
            hosts = {"ap-southeast-1": first, "us-east-1": second}
            drafts = await drafted([(name, "") for name in hosts], asia.clock, environment=KEYS, hosts=hosts)
        _, config = loaded(drafts)
        assert [target.region for target in config.targets] == ["ap-southeast-1", "us-east-1"]

    async def test_where_no_region_has_a_sender_each_reports_why(self) -> None:
        empty, closed = account(senders=[]), account(denied("QueryMailAddressByParam"))
        async with empty.listen() as first, closed.listen() as second:
            hosts = {"us-east-1": first, "eu-central-1": second}
            with pytest.raises(NoConfig) as raised:
                await drafted([(name, "") for name in hosts], empty.clock, environment=KEYS, hosts=hosts)
        output, *regions = str(raised.value).splitlines()
        assert "name your region with --region" in output
        assert regions[0] == "us-east-1: no sender"
        assert regions[1].startswith("eu-central-1: the RAM policy does not allow this operation")


class TestTheCommand:
    async def test_the_file_that_it_writes_passes_a_check_and_is_never_overwritten_without_force(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "config.yaml"
        api = Simulator(TRAFFIC, behaviour=Behaviour(calls_per_minute=100_000))
        flags = ("init", "--output", str(path), "--rate-limit", "6000")
        async with api.listen() as url:
            async with program(*flags, "--endpoint", url, environment=KEYS) as command:
                await command.line_with(f"{path} is written. Continue with:")
                assert await command.process.wait() == 0
            requests, text = len(api.requests), path.read_text()
            async with program(*flags, "--endpoint", url, environment=KEYS) as command:
                await command.line_with(f"nothing written: {path} exists; use --force to overwrite it")
                assert await command.process.wait() == 1
        assert (len(api.requests), path.read_text()) == (requests, text)
        checked = await asyncio.to_thread(run, "--config.file", str(path), "--config.check", environment=KEYS)
        assert checked.exit_code == 0, checked.output

    async def test_force_overwrites(self, tmp_path: Path) -> None:
        path = tmp_path / "config.yaml"
        path.write_text("mine")
        async with account(no_dedicated_ips="error", domains=["a.example.com"]).listen() as url:
            flags = ("init", "--force", "--output", str(path), "--endpoint", url)
            wrong = {**KEYS, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "wrong"}
            async with program(*flags, environment=wrong) as command:
                assert await command.process.wait() == 1
        assert path.read_text() == "mine", "a run that fails leaves the file"

    @pytest.mark.parametrize(
        ("flags", "status", "says"),
        [
            (["--region", "mars"], 2, "'mars' is not one of"),
            (["--region", "us-east-1", "--endpoint", "https://x"], 2, "set either --region or --endpoint, not both"),
            (["--endpoint", "http://dm.example.com"], 1, "(http is accepted for loopback only)"),
            (["--endpoint", "http://127.0.0.1:1", "--output", "/nowhere/x.yaml"], 1, "/nowhere is not a directory"),
            (["--endpoint", "http://127.0.0.1:1"], 1, "nothing written: no credentials"),
        ],
    )
    def test_what_is_wrong_is_one_line(self, flags: list[str], status: int, says: str, tmp_path: Path) -> None:
        result = run("init", "--output", str(tmp_path / "config.yaml"), *flags)
        assert result.exit_code == status
        assert says in result.output.splitlines()[-1]
        assert not (tmp_path / "config.yaml").exists()

    def test_the_regions_that_are_searched_have_no_closed_one(self) -> None:
        assert init.SEARCHED == ("cn-hangzhou", "ap-southeast-1", "us-east-1", "eu-central-1")
