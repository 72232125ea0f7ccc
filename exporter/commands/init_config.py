"""Writes a first config for an account: queries that fit the call budget, and why others are left out."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import yaml

from exporter import __version__
from exporter.commands.init_survey import Survey, is_missing_permission
from exporter.config import loader, yamlfile
from exporter.config.checking import InvalidValue
from exporter.config.durations import format_duration
from exporter.config.model import Config, Target
from exporter.config.queries import ESPS
from exporter.config.scalars import text as checked_text
from exporter.directmail import ram_policy
from exporter.directmail.listing import OPERATIONS
from exporter.directmail.statistics.registry import STATISTICS
from exporter.plan.pacing import pace

LONGEST_POLL = 900.0
"""Seconds between two polls that the queries may stretch `poll_interval: auto` to."""
MOST_COMBINATIONS = 100_000
"""One more than a config is written for, whatever the budget."""
LONG = 20
"""Values of a filter that are named one by one; a longer list is discovered."""
SPARE = 4
"""A discovered list has room for one new value for so many that are there."""
WIDTH = 100
"""Characters of a line of values."""

Values = Sequence[str] | int
"""The values of a filter, or how many of them are discovered at most."""


@dataclass
class Draft:
    """The queries of one target, and what its config says about those that are left out."""

    survey: Survey
    queries: list[tuple[str, str, Mapping[str, Values]]] = field(default_factory=list)
    """What it is for, "" for a further block of a query; its name; its filters."""
    left_out: dict[str, str] = field(default_factory=dict)
    """By name of the query: why."""

    @property
    def why_not(self) -> dict[str, str]:
        """What the config does not request, statistics and queries, and why."""
        statistics = {
            f"the statistic {each.name}": failed(self.survey, each.action) or "not tried"
            for each in STATISTICS.values()
            if each.name not in self.survey.statistics
        }
        return {**statistics, **self.left_out}


def draft(survey: Survey, config: Config) -> Draft:
    """Return the queries for an account: the most useful ones first, as far as the budget of the target allows.

    `config` has the settings that decide what a combination costs.
    """
    drafting = _Drafting(survey, _room(config, survey.target))
    for step in (drafting.account, drafting.senders, drafting.domains, drafting.providers, drafting.tags):
        step()
    drafting.of("by_ip", "dedicated_ip", "Dedicated IPs.")
    drafting.of("by_pool", "dedicated_ip_pool_id", "Pools of dedicated IPs.")
    return drafting.draft


def _room(config: Config, target: Target) -> int:
    """Return how many combinations, at least one, fit into the target's budget when they are polled often enough."""

    def is_too_much(combinations: int) -> bool:
        return pace(config, target, combinations, 1.0).poll_interval > LONGEST_POLL

    return 1 + bisect_left(range(2, MOST_COMBINATIONS), True, key=is_too_much)


class _Drafting:
    def __init__(self, survey: Survey, room: int) -> None:
        self.draft = Draft(survey)
        self._survey = survey
        self._room = room
        self._values = {key: tuple(filter(is_writable, survey.values(key))) for key in OPERATIONS}

    def account(self) -> None:
        """Request the whole account."""
        self._add("The whole account.", "account", {}, 1)

    def senders(self) -> None:
        self.of("by_sender", "account_name", "Each sender.")

    def domains(self) -> None:
        """Request sender domains where the filter works; one domain alone has what the account has."""
        if len(self._values["domain"]) == 1:
            self.draft.left_out["by_domain"] = "the account has one domain, so its numbers are the account's"
        else:
            self.of("by_domain", "domain", "Each sender domain.")

    def providers(self) -> None:
        """Request mailbox providers where the account has them: of as many senders as half of the rest allows."""
        if (why := self._why_not("esp")) is not None:
            self.draft.left_out["by_esp"] = why
            return
        senders = self._most_mail(max(1, self._room // 2 // len(ESPS)))
        if senders:
            text = f"Mailbox providers{self._of_senders(senders)}."
            self._add(text, "by_esp", {"account_name": senders, "esp": ESPS}, len(senders) * len(ESPS))
        else:
            self._add("Mailbox providers.", "by_esp", {"esp": ESPS}, len(ESPS))

    def tags(self) -> None:
        """Request the tags that each sender uses where that is known, else for each tag of as many senders as fit."""
        tags, why = self._values["tag_name"], self._why_not("tag_name") or self._why_not("account_name")
        if why is not None:
            self.draft.left_out["by_tag"] = why
            return
        pairs = self._pairs(tags)
        if pairs and sum(map(len, pairs.values())) <= self._room:
            unused = [tag for tag in tags if not any(tag in own for own in pairs.values())]
            what = "The tags that each sender used in the last 7 days."
            if unused:
                what += f" Unused tags, to be added by hand: {_inline(unused)}"
            for sender, own in pairs.items():
                self._add(what, "by_tag", {"account_name": (sender,), "tag_name": own}, len(own))
                what = ""
            return
        wanted = self._wanted("tag_name")
        senders = self._most_mail(max(1, self._room // wanted))
        values: Values = wanted if len(tags) > LONG else tags
        self._add(
            f"Each tag{self._of_senders(senders)}. Tags belong to the account: a sender that does not use one shows 0.",
            "by_tag",
            {"account_name": senders, "tag_name": values},
            wanted * len(senders),
        )

    def _pairs(self, tags: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Return the tags of each sender that can be written, where they are known."""
        known = self._survey.tags_of
        own = {
            sender: tuple(tag for tag in tags if tag in known.get(sender, ()))
            for sender in self._values["account_name"]
        }
        return {sender: found for sender, found in own.items() if found}

    def of(self, name: str, key: str, what: str) -> None:
        """Request each value of a filter."""
        if (why := self._why_not(key)) is not None:
            self.draft.left_out[name] = why
            return
        values, wanted = self._values[key], self._wanted(key)
        self._add(what, name, {key: wanted if len(values) > LONG else values}, wanted)

    def _add(self, what: str, name: str, filters: Mapping[str, Values], size: int) -> None:
        if size > self._room:
            self.draft.left_out[name] = (
                f"its {size} combinations would raise the poll interval above {format_duration(LONGEST_POLL)} "
                f"at {self._survey.target.rate_limit_per_minute:g} calls a minute"
            )
            return
        self._room -= size
        self.draft.queries.append((what, name, filters))

    def _wanted(self, key: str) -> int:
        """Return how many values are requested: all of a short list, of a long one as many as fit and some new ones."""
        count = len(self._values[key])
        return count if count <= LONG else min(count + count // SPARE, max(LONG, self._room))

    def _most_mail(self, most: int) -> tuple[str, ...]:
        return self._values["account_name"][: min(LONG, most)]

    def _of_senders(self, senders: Sequence[str]) -> str:
        left = len(self._values["account_name"]) - len(senders)
        return f" of the senders with most mail this month; {left} more left out" if left else " of each sender"

    def _why_not(self, key: str) -> str | None:
        """Return why a filter cannot be used, None where it can."""
        survey = self._survey
        if key in OPERATIONS and key not in survey.lists:
            return failed(survey, OPERATIONS[key].action)
        if key in OPERATIONS and not self._values[key]:
            return f"{OPERATIONS[key].action} lists nothing"
        return survey.useless.get(key) or survey.unproven.get(key)


def failed(survey: Survey, action: str) -> str | None:
    """Return why an operation failed, None where it worked or was not tried."""
    error = survey.failures.get(action)
    if error is None:
        return None
    if is_missing_permission(error):
        return f"the key lacks the permission dm:{action} ({error.code or error.status})"
    return f"{action} failed: {error.text} ({error.code or error.reason})"


def is_writable(value: str) -> bool:
    """Return whether a config can hold a value: it has no space around it, and is not the `*` that means nothing."""
    try:
        return value != "*" and checked_text(value) == value and yamlfile.load(_inline([value])) == [value]
    except (InvalidValue, yamlfile.NotYaml):
        return False


def intervals(surveys: Sequence[Survey]) -> dict[str, str | None]:
    """Return, for each interval of what the account says of itself, why it cannot be read; None where it can."""
    whys = {
        key: [why for each in surveys for action in actions if (why := failed(each, action))]
        for key, actions in ram_policy.ACCOUNT.items()
    }
    if not any(each.values("domain") for each in surveys):
        whys["domains_interval"].append("no sender domain is known")
    return {key: why[0] if why else None for key, why in whys.items()}


def render(drafts: Sequence[Draft], today: date) -> str:
    """Return the config's text."""
    return (
        "\n".join([*_head(drafts, today), "", "targets:", *(line for each in drafts for line in _target(each))]) + "\n"
    )


def _head(drafts: Sequence[Draft], today: date) -> Iterator[str]:
    yield f"# Written by directmail-exporter {__version__} init on {today} from the account's contents."
    yield "# All settings: config.example.yaml. Check the file after a change: directmail-exporter --config.check"
    yield ""
    yield "# How often today's numbers are read. auto: as the call budget allows, but not more often than every 5m."
    yield "poll_interval: auto"
    yield ""
    yield "# Days that are summed: today (so far), yesterday, or the last N closed days, 1d to 30d."
    yield "windows: [today, yesterday, 7d, 30d]"
    yield ""
    yield "# Keeps counts and counters across restarts. Without it they are kept in memory only."
    yield "# state_file: state.db"
    for key, what in (
        ("account_interval", "The account's quota, reputation and state, and each sender's mails."),
        ("domains_interval", "The verification of each sender domain: ownership, SPF, MX, CNAME, DKIM, DMARC."),
    ):
        why = intervals([each.survey for each in drafts])[key]
        yield ""
        yield f"# {what}"
        if why is None:
            yield f"{key}: 1h"
        else:
            yield f"# Left out: {why}."
            yield f"# {key}: 1h"


def _target(each: Draft) -> Iterator[str]:
    target = each.survey.target
    yield f"  - name: {target.name}   # the label `target`"
    yield f"    region: {target.region}" if target.region else f"    endpoint: {target.endpoint}"
    yield f"    timezone: {target.timezone}   # time zone of Direct Mail's days; the doctor checks it"
    yield f"    rate_limit_per_minute: {target.rate_limit_per_minute:g}   # of each operation"
    yield "    # The access key is in ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET. From files:"
    yield "    # credentials:"
    yield "    #   access_key_id_file: /run/secrets/access_key_id"
    yield "    #   access_key_secret_file: /run/secrets/access_key_secret"
    yield "    queries:"
    for what, name, filters in each.queries:
        if what:
            yield f"      # {what}"
        yield f"      - name: {name}"
        for key, values in filters.items():
            yield from _filter(key, values)
        yield f"        statistics: {_inline(each.survey.statistics)}"
    for name, why in each.why_not.items():
        yield f"      # Left out, {name}: {why}."


def _filter(key: str, values: Values) -> Iterator[str]:
    if isinstance(values, int):
        yield f"        {key}: {{discover: true, limit: {values}}}    # those known longest"
    elif len(line := f"        {key}: {_inline(values)}") <= WIDTH:
        yield line
    else:
        yield f"        {key}:"
        yield from (f"          - {_scalar(value)}" for value in values)


def _inline(values: Sequence[str]) -> str:
    """Return a list in one line of YAML, which may be a comment as well."""
    return f"[{', '.join(map(_scalar, values))}]"


def _scalar(value: str) -> str:
    """Return a text in one line of YAML; what YAML takes for the end of a line is escaped."""
    style = '"' if any(each in value for each in "\x85\u2028\u2029") else None
    dumped = yaml.safe_dump([value], default_flow_style=True, default_style=style, allow_unicode=True, width=1_000_000)
    return dumped.strip()[1:-1]


def target_of(region: str, endpoint: str = "", per_minute: float = 30.0) -> tuple[Config, Target]:
    """Return a config for a region or an endpoint that requests the account, and its target. Raise ValueError."""
    place = {"region": region} if region else {"endpoint": endpoint}
    settings = {"rate_limit_per_minute": per_minute, "queries": [{"name": "account"}]}
    document = {"targets": [{"name": region or "directmail", **place, **settings}]}
    config, problems = loader.parse(yaml.safe_dump(document))
    if problems or config is None:
        raise ValueError("; ".join(problem.text for problem in problems))
    return config, config.targets[0]
