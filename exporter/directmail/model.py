"""What a question to Direct Mail is made of and what an answer comes down to."""

from typing import NamedTuple


class Filters(NamedTuple):
    """The six filters of GetTrackList; an empty string means "not filtered".

    The field names are the config's keys and the metrics' labels; PARAMETERS has the API's names for them.
    """

    account_name: str = ""
    tag_name: str = ""
    esp: str = ""
    dedicated_ip: str = ""
    dedicated_ip_pool_id: str = ""
    config_set_id: str = ""


PARAMETERS = Filters(
    account_name="AccountName",
    tag_name="TagName",
    esp="Esp",
    dedicated_ip="DedicatedIp",
    dedicated_ip_pool_id="DedicatedIpPoolId",
    config_set_id="ConfigSetId",
)
"""The request parameter of each filter (GetTrackList's documentation)."""


class Totals(NamedTuple):
    """The five counts of a cell or of a window, each a sum over rows (mails, events or recipients)."""

    emails: int
    opens: int
    unique_opens: int
    clicks: int
    unique_clicks: int


class RateSums(NamedTuple):
    """The API's own four rates, each summed over rows as rate x TotalNumber, in the API's unit.

    None where a row's rate could not be read: a rate is right or absent. Divided by the emails it is the mean.
    """

    open_rate: float | None
    unique_open_rate: float | None
    click_rate: float | None
    unique_click_rate: float | None
