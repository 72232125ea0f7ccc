"""docs/what-the-api-cannot-tell.md, compared with the official SDK and with what the exporter calls."""

import re
from pathlib import Path

from alibabacloud_dm20151123.client import Client

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "what-the-api-cannot-tell.md").read_text()
LISTING_PEOPLE = {"ListBlockSending", "SenderStatisticsDetailByParam"}


def test_every_operation_that_is_named_is_one_of_the_api() -> None:
    named = set(re.findall(r"`([A-Z]\w+)`", TEXT))
    assert named == {"GetTrackList", *LISTING_PEOPLE}
    for operation in named:
        assert hasattr(Client, re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower())


def test_the_exporter_never_calls_an_operation_that_lists_recipients() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "exporter").rglob("*.py"))
    assert "GetTrackList" in sources
    assert [operation for operation in LISTING_PEOPLE if operation in sources] == []


def test_complaints_people_and_hours_are_on_the_page_and_it_is_linked_from_the_others() -> None:
    for word in ("complained", "Who opened", "hour"):
        assert word in TEXT
    for page in ("README.md", "docs/README.md", "docs/semantics.md"):
        assert "what-the-api-cannot-tell.md" in (ROOT / page).read_text()
