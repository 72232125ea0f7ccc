"""The text of metrics is prometheus_client's, byte for byte."""

import pytest
from prometheus_client.utils import floatToGoString

from exporter.metrics.text_format import label_text, label_texts, number


@pytest.mark.parametrize("value", [0, 7, 999_999, 1_000_000, 123_456_789, 10**21, -1, True, False, 0.25, 1e-7, 1e6])
def test_a_number_is_printed_as_prometheus_client_does(value: float) -> None:
    assert number(value) == floatToGoString(value)


@pytest.mark.parametrize("labels", [{}, {"a": "1"}, {"z": "1"}, {"a1": 'quoted "x"', "a": "line\nbreak", "z": "\\"}])
def test_one_label_more_is_placed_among_the_others_in_their_order(labels: dict[str, str]) -> None:
    texts = label_texts(labels, "window", ["7d", 'a "day"'])
    assert texts == [label_text({**labels, "window": window}) for window in ("7d", 'a "day"')]
