"""The least RAM policy of each feature; docs/ram-policy.md shows the same.

Direct Mail authorises by operation, so `*` is the narrowest resource (its RAM documentation).
"""

import json
from collections.abc import Iterable

from exporter.directmail import account
from exporter.directmail.listing import OPERATIONS

DISCOVERY = {key: operation.action for key, operation in OPERATIONS.items()}
"""The operation that lists the values of a filter."""
ACCOUNT = {
    "account_interval": (account.SUMMARY, DISCOVERY["account_name"]),
    "domains_interval": (DISCOVERY["domain"], account.DOMAIN),
}
"""The operations that a setting about the account needs."""


def allowing(operations: Iterable[str]) -> str:
    """Return the JSON of a policy that allows these operations of Direct Mail and nothing else."""
    return _policy([f"dm:{operation}" for operation in operations], "*")


def assuming(role_arn: str) -> str:
    """Return the JSON of a policy that allows to assume one role and nothing else."""
    return _policy(["sts:AssumeRole"], role_arn)


def _policy(actions: list[str], resource: str) -> str:
    statement = json.dumps({"Effect": "Allow", "Action": actions, "Resource": [resource]})
    return f'{{\n  "Version": "1",\n  "Statement": [\n    {statement}\n  ]\n}}'
