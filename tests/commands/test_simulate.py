"""`simulate`: its switches are the simulator's behaviour."""

import click
import pytest
from click.testing import CliRunner

from exporter.commands import simulate
from exporter.commands.main import cli
from exporter.simulator.behaviour import CHOICES, Behaviour

OPTIONS = {each.name: each for each in simulate.command.params if isinstance(each, click.Option) and each.name}


@pytest.mark.parametrize("behaviour", CHOICES)
def test_every_choice_of_a_habit_is_a_switch_with_the_same_default(behaviour: str) -> None:
    option = OPTIONS[behaviour]
    assert isinstance(option.type, click.Choice)
    assert tuple(option.type.choices) == tuple(filter(None, CHOICES[behaviour]))
    assert (option.default or "") == getattr(Behaviour(), behaviour)


def test_the_help_explains_every_switch() -> None:
    text = CliRunner().invoke(cli, ["simulate", "--help"]).output
    for option in OPTIONS.values():
        assert option.help, option.name
        assert option.opts[0] in text
    assert "of each operation" in text


@pytest.mark.parametrize("behaviour", CHOICES)
def test_an_unknown_choice_is_status_2_and_lists_the_valid_ones(behaviour: str) -> None:
    result = CliRunner().invoke(cli, ["simulate", OPTIONS[behaviour].opts[0], "maybe"])
    assert result.exit_code == 2
    for choice in filter(None, CHOICES[behaviour]):
        assert f"'{choice}'" in result.output
