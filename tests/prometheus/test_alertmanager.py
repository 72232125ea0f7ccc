"""Alertmanager's config: where an alert goes, and which alert speaks for which, as the real programs have it."""

import re
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from tests.support.rule_files import ALERT_NAMES, ALERTS, ON_MAIL, RULES, load, run
from tools.stack import rules
from tools.stack.prometheus import alertmanager
from tools.stack.verdicts import Firing, notified

INHIBITIONS = load(RULES / "alertmanager.yml")["inhibit_rules"]


def test_alertmanager_accepts_the_config(tool: Callable[[str], Path]) -> None:
    run(tool("amtool"), "check-config", RULES / "alertmanager.yml")


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        pytest.param(["alertname=DirectMailTrackingBroken", "severity=critical"], "on-call", id="critical"),
        pytest.param(["alertname=DirectMailApiErrors", "severity=warning"], "email-operations", id="warning"),
        pytest.param(["alertname=DirectMailClickRateDrop", "severity=info"], "daily-digest", id="info"),
        pytest.param(["alertname=NodeDown", "severity=critical"], "other-alerts", id="somebody else's"),
    ],
)
def test_an_alert_is_routed_by_its_severity(labels: list[str], receiver: str, tool: Callable[[str], Path]) -> None:
    found = run(tool("amtool"), "config", "routes", "test", f"--config.file={RULES / 'alertmanager.yml'}", *labels)
    assert found.split() == [receiver]


def matchers(rule: dict[str, Any], side: str) -> Iterator[str]:
    """The alert names that one side of an inhibition is about, as a regular expression."""
    for matcher in rule[f"{side}_matchers"]:
        if found := re.fullmatch(r'alertname=~?"(.+)"', matcher):
            yield found[1]


@pytest.mark.parametrize("side", ["source", "target"])
def test_every_name_in_an_inhibition_is_an_alert(side: str) -> None:
    for rule in INHIBITIONS:
        (pattern,) = matchers(rule, side)
        prefix, words, suffix = re.fullmatch(r"(\w+?)(?:\((.+)\))?(\.\+)?", pattern).groups()  # type: ignore[union-attr]
        for word in (words or "").split("|"):
            assert any(re.fullmatch(prefix + word + (suffix or ""), name) for name in ALERT_NAMES), prefix + word


def test_being_blind_mutes_every_alert_on_the_mail_and_no_other() -> None:
    (pattern,) = matchers(INHIBITIONS[0], "target")
    muted = {name for name in ALERT_NAMES if re.fullmatch(pattern, name)}
    assert muted == {rule["alert"] for rule in ON_MAIL}


SENDER = {"account_name": "news@mail.example.com"}
GMAIL = {**SENDER, "esp": "gmail.com"}
YAHOO = {**SENDER, "esp": "yahoo.com"}
TAG_AT_GMAIL = {**GMAIL, "tag_name": "weekly"}
OF_DOMAIN = {**SENDER, "domain": "mail.example.com"}
OF_OTHER_DOMAIN = {"account_name": "news@example.org", "domain": "example.org"}
ACCOUNT: dict[str, str] = {}
FROZEN = "AccountRestricted critical", {"state": "frozen"}
FULL, FILLING = ("QuotaNearlyUsed critical", ACCOUNT), ("QuotaNearlyUsed warning", ACCOUNT)
NO_CNAME = "DomainVerificationLost critical", {"domain": "mail.example.com", "check": "cname"}
NO_DKIM = "DomainVerificationLost warning", {"domain": "mail.example.com", "check": "dkim"}
REJECTS = "ProviderRejects warning", GMAIL
INVALID = "InvalidAddressesHigh warning", SENDER
LESS, MUCH_LESS = ("DeliveryRateDrop warning", SENDER), ("DeliveryRateDrop critical", SENDER)
STOPPED = "SendingStopped critical", SENDER
BLIND = "DataStale warning", ACCOUNT
SPOKEN_FOR = (
    (FROZEN, STOPPED),
    (FROZEN, MUCH_LESS),
    (FROZEN, ("WeeklyVolumeDrop warning", SENDER)),
    (FULL, STOPPED),
    (FULL, MUCH_LESS),
    (FULL, FILLING),
    (NO_CNAME, ("TrackingBroken critical", OF_DOMAIN)),
    (NO_CNAME, ("ClickTrackingBroken critical", OF_DOMAIN)),
    (REJECTS, ("EspVolumeDrop warning", GMAIL)),
    (REJECTS, LESS),
    (INVALID, LESS),
    (MUCH_LESS, LESS),
    (BLIND, MUCH_LESS),
    (BLIND, REJECTS),
    (BLIND, ("DiscoveryFailing warning", ACCOUNT)),
    (BLIND, ("AccountReadFailing warning", ACCOUNT)),
    (("CredentialsFailing critical", ACCOUNT), ("AccountReadFailing warning", ACCOUNT)),
)
"""A cause, and a consequence that is muted by it."""
NOT_SPOKEN_FOR = (
    (FROZEN, ("ClickTrackingBroken critical", OF_DOMAIN)),
    (FILLING, STOPPED),
    (NO_CNAME, ("TrackingBroken critical", OF_OTHER_DOMAIN)),
    (NO_CNAME, ("TrackingOff critical", OF_DOMAIN)),
    (NO_CNAME, NO_DKIM),
    (NO_DKIM, ("TrackingBroken critical", OF_DOMAIN)),
    (REJECTS, ("EspVolumeDrop warning", YAHOO)),
    (REJECTS, ("EspVolumeDrop warning", TAG_AT_GMAIL)),
    (REJECTS, MUCH_LESS),
    (INVALID, MUCH_LESS),
    (BLIND, FROZEN),
    (FROZEN, ("AccountReadFailing warning", ACCOUNT)),
)
"""Two alerts that are both notified: the one is not the other's cause, or is too mild to mute it."""
Named = tuple[str, dict[str, str]]


def name_of(pair: tuple[Named, Named]) -> str:
    return " and ".join(f"{title} {' '.join(labels.values())}" for title, labels in pair)


def firing(alert: Named, target: str) -> Firing:
    title, severity = alert[0].split()
    assert any(rule["alert"] == f"DirectMail{title}" and rule["labels"]["severity"] == severity for rule in ALERTS)
    return Firing(f"DirectMail{title}", severity, {"job": "directmail", "target": target, **alert[1]}, 0, 60)


async def test_a_cause_inhibits_its_consequence_and_nothing_else(tool: Callable[[str], Path], tmp_path: Path) -> None:
    """Each pair of alerts is shown to an Alertmanager as a target of its own."""
    tool("prometheus-alertmanager")
    pairs = {name_of(pair): pair for pair in (*SPOKEN_FOR, *NOT_SPOKEN_FOR)}
    shown = {name: [firing(alert, name) for alert in pair] for name, pair in pairs.items()}
    async with alertmanager(tmp_path, rules.routes("127.0.0.1:9")) as url:
        notified_at = await notified(url, list(chain.from_iterable(shown.values())))
    assert {name for name, (cause, _) in shown.items() if cause in notified_at} == set(pairs)
    assert {name for name, (_, effect) in shown.items() if effect not in notified_at} == set(map(name_of, SPOKEN_FOR))
