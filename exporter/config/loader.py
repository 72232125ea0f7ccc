"""The config: YAML as written, checked whole, to frozen values as run.

`parse` and `read` collect every mistake with its place and the fix, and still return the valid part, so that the
plan's problems are reported with the others.
"""

import difflib
import errno
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from exporter import watch
from exporter.config import credentials, queries, schema, yamlfile
from exporter.config.checking import LONGEST_SHOWN, Problem, check, join, shown
from exporter.config.credentials import KEY_FILES
from exporter.config.model import Config, Credentials, Discover, Query, Refresh, Target
from exporter.directmail import ram_credentials
from exporter.directmail.proxies import unusable_proxy


def read(path: Path) -> tuple[Config | None, tuple[Problem, ...]]:
    """Return the valid part of the file and all of its problems, with those of secret files and packages."""
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        return None, (Problem(f"byte {error.start}", "the file is not UTF-8; save it as UTF-8"),)
    except OSError as error:
        return None, (
            Problem(
                "file",
                f"cannot be read: {error.strerror}; name one with --config.file, or start from config.example.yaml",
            ),
        )
    config, problems = parse(text)
    if config is not None:
        problems = (*problems, *_missing_extras(config), *_unreadable_files(config), *_unusable_proxies(config))
    return config, problems


def files(path: Path) -> tuple[Path, ...]:
    """Return the files that decide whether `read` accepts a config: itself, and the key files it names."""
    try:
        document = yamlfile.load(path.read_bytes().decode("utf-8"))
    except (OSError, UnicodeDecodeError, yamlfile.NotYaml):
        return (path,)
    found = [path]
    targets = document.get("targets") if isinstance(document, dict) else None
    for target in targets if isinstance(targets, list) else ():
        block = target.get("credentials") if isinstance(target, dict) else None
        named = [block.get(key) for key in KEY_FILES] if isinstance(block, dict) else []
        found += [Path(name) for name in named if isinstance(name, str)]
    return tuple(found)


def parse(text: str) -> tuple[Config | None, tuple[Problem, ...]]:
    """Return the valid part of the text, None where there is none, and every mistake in it."""
    try:
        document = yamlfile.load(text)
    except yamlfile.NotYaml as error:
        return None, (Problem(error.place, error.text),)
    if not isinstance(document, dict):
        return None, (Problem("file", "is empty; start from config.example.yaml"),)
    problems: list[Problem] = []
    top = check(schema.Top, document, "", problems, children=("targets",))
    items = _items(document, "targets", "", problems)
    problems += _repeated_names(items)
    targets = [target for place, item in items if (target := _target(item, place, problems)) is not None]
    if top is None:
        return None, tuple(problems)
    config = Config(
        poll_interval=top.poll_interval,
        windows=top.windows,
        refresh=Refresh(top.refresh.recent, top.refresh.older),
        stale_after=top.stale_after,
        state_file=top.state_file,
        max_series=top.max_series,
        discovery_interval=top.discovery_interval,
        account_interval=top.account_interval,
        domains_interval=top.domains_interval,
        reported_rates=top.reported_rates,
        targets=tuple(targets),
        digest=watch.digest(text.encode()),
    )
    return config, tuple(problems)


def _target(item: object, place: str, problems: list[Problem]) -> Target | None:
    if not isinstance(item, dict):
        problems.append(Problem(place, f"{shown(item)} is not a target; write a block with name, region and queries"))
        return None
    settings = check(schema.Target, item, place, problems, children=("credentials", "queries"))
    secrets = check(credentials.Credentials, item.get("credentials", {}), f"{place}.credentials", problems)
    blocks = _items(item, "queries", place, problems)
    sound = [query for at, each in blocks if (query := _query(each, at, problems)) is not None]
    problems += _different_blocks(blocks)
    if settings is None or secrets is None:
        return None
    return Target(
        place=place,
        name=settings.name,
        region=settings.region or "",
        endpoint=settings.url,
        timezone=settings.timezone,
        rate_limit_per_minute=settings.rate_limit_per_minute,
        timeout=settings.timeout,
        page_size=settings.page_size,
        labels=MappingProxyType(dict(settings.labels)),
        credentials=Credentials(
            secrets.kind,
            secrets.access_key_id_file,
            secrets.access_key_secret_file,
            secrets.security_token_file,
            MappingProxyType(secrets.options),
        ),
        queries=tuple(sound),
    )


def _query(item: object, place: str, problems: list[Problem]) -> Query | None:
    settings = queries.checked(item, place, problems)
    if settings is None:
        return None
    discovered = {key: Discover(each.include, each.exclude, each.limit) for key, each in settings.discovered.items()}
    return Query(
        place,
        settings.name,
        MappingProxyType(settings.filters),
        MappingProxyType(discovered),
        tuple(MappingProxyType(entry) for entry in settings.exclude),
        settings.statistics,
    )


def _different_blocks(items: Iterable[tuple[str, object]]) -> Iterator[Problem]:
    """Yield blocks that have a query's name and other filters than its first block, whatever else is wrong with them.

    Nothing is said of a block with a key that may be a misspelt filter.
    """
    first: dict[str, tuple[str, tuple[str, ...]]] = {}
    for place, item in items:
        name = item.get("name") if isinstance(item, dict) else None
        if not isinstance(item, dict) or not isinstance(name, str) or any(map(_may_be_filter, item)):
            continue
        own = tuple(sorted(key for key in queries.FILTER_KEYS if key in item))
        where, others = first.setdefault(name, (place, own))
        if own != others:
            yield Problem(
                place,
                f"has {_filters(own)}, but {name!r} at {where} has {_filters(others)}; "
                "blocks of one query have the same filters: give this one another name",
            )


def _may_be_filter(key: object) -> bool:
    is_known = key in queries.Query.model_fields
    return not is_known and bool(difflib.get_close_matches(str(key)[:LONGEST_SHOWN], queries.FILTER_KEYS))


def _filters(keys: tuple[str, ...]) -> str:
    return f"the filters {', '.join(keys)}" if keys else "no filter"


def _items(parent: Mapping[Any, Any], key: str, place: str, problems: list[Problem]) -> list[tuple[str, object]]:
    where = join(place, (key,))
    items = parent.get(key)
    if not isinstance(items, list) or not items:
        state = "is missing" if key not in parent else f"{shown(items)} is not a list with entries"
        problems.append(Problem(where, f"{state}; write {schema.EXAMPLES[key]}"))
        return []
    return [(f"{where}[{index}]", item) for index, item in enumerate(items)]


def _repeated_names(items: Iterable[tuple[str, object]]) -> Iterator[Problem]:
    names: dict[str, str] = {}
    for at, item in items:
        name = item.get("name") if isinstance(item, dict) else None
        if isinstance(name, str) and names.setdefault(name, at) != at:
            yield Problem(f"{at}.name", f"{shown(name)} is also the name of {names[name]}; give each its own name")


def _missing_extras(config: Config) -> list[Problem]:
    targets = [target for target in config.targets if target.credentials.type in ram_credentials.TYPES]
    if not targets or ram_credentials.is_installed():
        return []
    return [
        Problem(
            f"{target.place}.credentials.type",
            f"{target.credentials.type} needs alibabacloud-credentials. {ram_credentials.INSTALL}",
        )
        for target in targets
    ]


def _unreadable_files(config: Config) -> list[Problem]:
    found = []
    for target in config.targets:
        for key in KEY_FILES:
            path: Path | None = getattr(target.credentials, key)
            if path is None:
                continue
            try:
                if path.exists() and not path.is_file():  # to open a pipe would wait for its writer
                    raise OSError(errno.EINVAL, "it is not a file")
                with path.open("rb"):
                    pass
            except OSError as error:
                text = f"{shown(str(path))} cannot be read: {error.strerror}; name a file that this user may read"
                found.append(Problem(f"{target.place}.credentials.{key}", text))
    return found


def _unusable_proxies(config: Config) -> list[Problem]:
    """Return what is wrong with the environment: a proxy's address may hold a password, so it is not shown."""
    found = dict.fromkeys(unusable_proxy(target.endpoint) for target in config.targets)
    text = (
        "is not the address of an HTTP proxy; write one such as http://host:3128, or except the endpoints in NO_PROXY"
    )
    return [Problem(f"environment variable {name}", text) for name in found if name is not None]
