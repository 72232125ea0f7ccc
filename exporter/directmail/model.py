"""The filters of a request, and the identity of what they select."""

from typing import NamedTuple


class Filters(NamedTuple):
    """The filters that the statistics know between them; an empty string means "not filtered".

    The field names are the config's keys and the metrics' labels; a statistic has the API's names for those it knows.
    """

    account_name: str = ""
    tag_name: str = ""
    domain: str = ""
    esp: str = ""
    dedicated_ip: str = ""
    dedicated_ip_pool_id: str = ""
    config_set_id: str = ""


Key = tuple[str, str, Filters]
"""(target, statistic, filters): what makes a combination the same one over restarts and reloads."""
