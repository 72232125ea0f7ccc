"""Whether a filter can be used: three ways in which it cannot, and numbers that only look like one of them."""

import pytest

from exporter.collector.filter_groups import FilterGroup, Reading, Unsupported, groups, is_empty, is_narrower, is_whole
from exporter.directmail.errors import InvalidRequest
from exporter.directmail.model import Filters
from exporter.plan.combinations import Combination

ESPS = ("gmail.com", "yahoo.com", "others")


def combination(**filters: str) -> Combination:
    return Combination("shop", "engagement", "by_esp", Filters(**filters))


WHOLE = combination(account_name="news@example.com")
MEMBERS = tuple(combination(account_name="news@example.com", esp=esp) for esp in ESPS)


def group(
    *, key: str = "esp", members: tuple[Combination, ...] = MEMBERS, whole: Combination | None = WHOLE
) -> FilterGroup:
    return FilterGroup(key, members, whole)


def reads(*mails: int, start: float = 10.0) -> list[Reading]:
    """Readings one second apart."""
    return [Reading((mail, 0), start + second) for second, mail in enumerate(mails)]


def test_combinations_that_differ_in_one_doubtful_filter_are_a_group_with_the_one_without_it() -> None:
    other = combination(account_name="a@example.com", tag_name="promo")
    (found,) = groups([WHOLE, other, *MEMBERS])
    assert (found.key, found.members, found.whole) == ("esp", MEMBERS, WHOLE)


def test_a_combination_of_two_doubtful_filters_is_in_two_groups() -> None:
    both = [combination(esp=esp, dedicated_ip=ip) for esp in ESPS for ip in ("192.0.2.1", "192.0.2.2")]
    assert sorted((each.key, len(each.members)) for each in groups(both)) == [
        *[("dedicated_ip", 2)] * 3,
        *[("esp", 3)] * 2,
    ]


class TestNarrower:
    def test_a_later_read_with_less_mail_proves_that_the_filter_works(self) -> None:
        assert is_narrower(reads(500, 120), None, is_closed=False)
        assert is_narrower(reads(120), Reading((500, 0), 1.0), is_closed=False)

    def test_growth_of_a_day_proves_nothing(self) -> None:
        assert not is_narrower(reads(500, 520, 540), Reading((480, 0), 1.0), is_closed=False)

    @pytest.mark.parametrize("is_closed", [False, True])
    def test_replicas_that_differ_by_a_few_mails_prove_nothing(self, is_closed: bool) -> None:
        assert not is_narrower(reads(1000, 997), Reading((1000, 0), 1.0), is_closed=is_closed)
        assert is_whole(reads(1000, 997), Reading((1000, 0), 1.0), may_be_all=False, is_closed=is_closed)

    def test_of_a_day_that_is_over_any_clear_difference_proves_it(self) -> None:
        assert is_narrower(reads(120, 500), None, is_closed=True)
        assert not is_narrower(reads(500, 500), Reading((500, 0), 1.0), is_closed=True)

    def test_no_mail_at_all_proves_nothing(self) -> None:
        assert not is_narrower(reads(0, 0), Reading((500, 0), 1.0), is_closed=True)


class TestEmpty:
    def test_no_mail_for_any_value_beside_enough_without_the_filter(self) -> None:
        assert is_empty(reads(0, 0, 0), Reading((100, 0), 1.0), is_closed=False)

    def test_little_mail_may_be_chance(self) -> None:
        assert not is_empty(reads(0, 0, 0), Reading((99, 0), 1.0), is_closed=True)

    def test_mail_that_came_after_the_values_were_read_is_no_evidence(self) -> None:
        assert not is_empty(reads(0, 0, 0), Reading((100, 0), 99.0), is_closed=False)
        assert is_empty(reads(0, 0, 0), Reading((100, 0), 99.0), is_closed=True)

    def test_without_the_unfiltered_number_nothing_can_be_judged(self) -> None:
        assert not is_empty(reads(0, 0, 0), None, is_closed=True)


class TestWhole:
    def test_every_value_has_all_of_the_mail(self) -> None:
        whole = Reading((1000, 0), 1.0)
        assert is_whole(reads(1000, 1000), whole, may_be_all=False, is_closed=True)
        assert is_whole(reads(1010, 1050), whole, may_be_all=False, is_closed=False), "the day grows"
        assert not is_whole(reads(1000, 1200), whole, may_be_all=False, is_closed=False)

    def test_without_the_unfiltered_number_only_a_closed_day_is_evidence(self) -> None:
        assert is_whole(reads(1000, 1000), None, may_be_all=False, is_closed=True)
        assert not is_whole(reads(1000, 1000), None, may_be_all=False, is_closed=False)

    def test_one_address_may_well_send_all_of_the_mail_but_one_provider_does_not_get_it(self) -> None:
        whole = Reading((1000, 0), 1.0)
        assert not is_whole(reads(1000), whole, may_be_all=True, is_closed=True)
        assert is_whole(reads(1000), whole, may_be_all=False, is_closed=True)

    def test_little_mail_may_be_chance(self) -> None:
        assert not is_whole(reads(1, 1), None, may_be_all=False, is_closed=True)

    def test_one_provider_may_well_get_most_of_the_mail(self) -> None:
        whole = Reading((1000, 0), 1.0)
        assert not is_whole(reads(960), whole, may_be_all=False, is_closed=False)
        assert not is_whole([], whole, may_be_all=False, is_closed=True), "nothing was read yet"
        sender = group()
        sender.judge(reads(1000), whole, is_closed=True)
        assert sender.finding is None, "the others may have none"


class TestGroup:
    @pytest.mark.parametrize(
        ("mails", "whole", "finding"),
        [
            pytest.param((0, 0, 0), 500, Unsupported.EMPTY, id="empty"),
            pytest.param((500, 500, 500), 500, Unsupported.WHOLE, id="whole"),
            pytest.param((300, 150, 50), 500, None, id="parts"),
            pytest.param((0, 0, 0), 0, None, id="no-mail"),
        ],
    )
    def test_a_closed_day_is_evidence(self, mails: tuple[int, ...], whole: int, finding: Unsupported | None) -> None:
        made = group()
        made.judge(reads(*mails), Reading((whole, 0), 1.0), is_closed=True)
        assert made.finding is finding

    def test_an_empty_matrix_is_judged_only_when_all_of_it_was_read(self) -> None:
        made = group()
        made.judge(reads(0, 0), Reading((500, 0), 1.0), is_closed=True)
        assert made.finding is None

    def test_numbers_are_withheld_until_an_answer_has_proved_that_they_are_not_all_of_the_mail(self) -> None:
        made = group()
        assert made.withholds((500, 0), (500, 0))
        made.judge(reads(300, 150, 50), None, is_closed=False)
        assert not made.withholds((500, 0), (500, 0))

    def test_a_0_is_withheld_until_then_unless_there_is_no_mail_without_the_filter_either(self) -> None:
        made = group()
        assert made.withholds((0, 0), (500, 0))
        assert made.withholds((0, 0), None), "without the filter it was not read yet"
        assert not made.withholds((0, 0), (0, 0))
        assert not group(whole=None).withholds((0, 0), None), "nothing will ever tell"
        made.judge(reads(300, 150, 50), None, is_closed=False)
        assert not made.withholds((0, 0), (500, 0))

    def test_a_lone_value_that_can_be_compared_with_nothing_is_shown(self) -> None:
        assert not group(members=MEMBERS[:1], whole=None).withholds((500, 0), None)
        assert not group(key="dedicated_ip", members=MEMBERS[:1]).withholds((500, 0), None)

    def test_a_filter_is_rejected_only_when_every_value_is(self) -> None:
        made, error = group(), InvalidRequest("no", code="InvalidEsp.NotSupported")
        seen = []
        for member in MEMBERS:
            assert made.reject(member, error), "it may be the filter"
            seen.append(made.finding)
        assert seen == [None, None, Unsupported.REJECTED]

    @pytest.mark.parametrize(
        "code",
        [
            *("InvalidMailAddress.NotFound", "InvalidTagName.Malformed", "InvalidDate.Malformed"),
            *("InvalidStartTime.Malformed", "InvalidEndTime.Malformed", "InvalidBetweenTime.Malformed"),
        ],
    )
    def test_a_rejection_for_another_reason_is_a_failure(self, code: str) -> None:
        made = group()
        assert not any(made.reject(member, InvalidRequest("no", code=code)) for member in MEMBERS)

    def test_a_rejected_value_among_accepted_ones_is_a_failure(self) -> None:
        made, error = group(), InvalidRequest("no", code="InvalidParameter")
        made.judge(reads(300, 150), None, is_closed=False)
        assert not any(made.reject(member, error) for member in MEMBERS)

    def test_an_answer_that_proves_the_filter_ends_every_finding(self) -> None:
        made = group()
        for member in MEMBERS:
            made.reject(member, InvalidRequest("no", code="InvalidParameter"))
        made.judge(reads(300, 150, 50), Reading((500, 0), 1.0), is_closed=True)
        assert (made.finding, made.withholds((500, 0), None)) == (None, False)
