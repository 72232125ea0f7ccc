"""Creates the provider of a target's credentials."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from exporter.clock import Clock
from exporter.directmail.credentials import FromEnvironment, FromFiles, Provider
from exporter.directmail.ram_credentials import OF_A_CLUSTER, FromRam

_NO_OPTIONS: Mapping[str, str] = MappingProxyType({})


def provider(
    kind: str,
    clock: Clock,
    *,
    access_key_id_file: Path | None = None,
    access_key_secret_file: Path | None = None,
    security_token_file: Path | None = None,
    options: Mapping[str, str] = _NO_OPTIONS,
    environment: Mapping[str, str] = os.environ,
    reread: Callable[[], None] = lambda: None,
) -> Provider:
    """Return the provider of that kind: `environment`, `files`, or one of `ram.TYPES` with its options.

    `reread` is called when files have another key than before.
    """
    files = None
    if access_key_id_file is not None and access_key_secret_file is not None:
        files = FromFiles(access_key_id_file, access_key_secret_file, security_token_file, reread=reread)
    if kind in ("environment", "files"):
        return files or FromEnvironment(environment)
    if kind == "ram_role_arn":
        return FromRam(kind, options, clock, base=files or FromEnvironment(environment))
    if kind == "oidc_role_arn":
        options = {**_of_a_cluster(environment), **options}
    return FromRam(kind, options, clock)


def _of_a_cluster(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the pod's role from the environment."""
    return {name: value for name, variable in OF_A_CLUSTER.items() if (value := environment.get(variable))}
