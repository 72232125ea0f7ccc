"""The RAM policies: what the doctor prints and docs/ram-policy.md shows is the same, and the least."""

import json
import re
from pathlib import Path

from exporter.config.queries import FILTER_KEYS
from exporter.directmail.ram_policy import ACCOUNT, DISCOVERY, allowing, assuming
from exporter.directmail.statistics.registry import STATISTICS

DOCUMENT = (Path(__file__).parents[2] / "docs" / "ram-policy.md").read_text()
ACTIONS = {name: statistic.action for name, statistic in STATISTICS.items()}
ROLE = "acs:ram::1234567890123456:role/directmail-exporter"


def test_the_document_shows_each_policy_as_it_is_printed() -> None:
    blocks = re.findall(r"```json\n(.*?)\n```", DOCUMENT, re.DOTALL)
    assert blocks[:2] == [
        allowing(
            dict.fromkeys([*ACTIONS.values(), *DISCOVERY.values(), *(each for two in ACCOUNT.values() for each in two)])
        ),
        assuming(ROLE),
    ]
    for trust, principal in zip(blocks[2:], ("Federated", "Service"), strict=True):
        (statement,) = json.loads(trust)["Statement"]
        assert statement["Action"] == "sts:AssumeRole"
        assert list(statement["Principal"]) == [principal]


def test_no_policy_grants_by_a_pattern() -> None:
    for block in re.findall(r"```json\n(.*?)\n```", DOCUMENT, re.DOTALL):
        for statement in json.loads(block)["Statement"]:
            actions = statement["Action"]
            assert not any("*" in action for action in ([actions] if isinstance(actions, str) else actions))


def test_the_document_names_the_operation_of_each_filter() -> None:
    table = dict(re.findall(r"\| `(\w+): \{discover: true\}` \| `dm:(\w+)` \|", DOCUMENT))
    assert table == DISCOVERY


def test_the_document_names_the_operation_of_each_statistic() -> None:
    assert dict(re.findall(r"\| `statistics: \[(\w+)\]`.* \| `dm:(\w+)` \|", DOCUMENT)) == ACTIONS


def test_the_document_names_the_operations_of_each_setting_about_the_account() -> None:
    table = re.findall(r"\| `(\w+_interval): 1h` \| `dm:(\w+)`, `dm:(\w+)` \|", DOCUMENT)
    assert {setting: tuple(operations) for setting, *operations in table} == ACCOUNT


def test_every_filter_that_can_be_discovered_is_one_of_the_config() -> None:
    assert set(DISCOVERY) == set(FILTER_KEYS) - {"esp"}


def test_a_policy_allows_what_is_named_and_nothing_else() -> None:
    policy = json.loads(allowing(["GetTrackList", "QueryTagByParam"]))
    (statement,) = policy["Statement"]
    assert policy["Version"] == "1"
    assert statement == {"Effect": "Allow", "Action": ["dm:GetTrackList", "dm:QueryTagByParam"], "Resource": ["*"]}
