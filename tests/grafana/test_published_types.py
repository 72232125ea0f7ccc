"""The dashboards by the types that Grafana and Perses publish. `make schema-test` fetches them and runs it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.boards import FILES, Json, load
from tests.support.typescript import findings
from tools.boards import build

TYPES = Path(__file__).parent / "types"

pytestmark = pytest.mark.schema

Mistake = Callable[[Json], object]


def first_panel(board: Json) -> Json:
    """Return a figure of Grafana's, and how it looks."""
    found: Json = board["spec"]["elements"]["panel-1"]["spec"]["vizConfig"]["spec"]
    return found


def first_chart(board: Json) -> Json:
    """Return the options of a figure of Perses'."""
    found: Json = board["spec"]["panels"]["panel-1"]["spec"]["plugin"]["spec"]
    return found


OF_GRAFANA: dict[str, tuple[Mistake, str]] = {
    "unknown-key": (lambda board: board["spec"]["timeSettings"].update(refresh="5m"), "'\"refresh\"' does not exist"),
    "unknown-field": (
        lambda board: first_panel(board)["fieldConfig"]["defaults"].update(noValues="nothing"),
        "'\"noValues\"' does not exist",
    ),
    "unknown-option": (
        lambda board: first_panel(board)["options"].update(footer={"show": False}),
        "'\"footer\"' does not exist",
    ),
    "unknown-word": (
        lambda board: first_panel(board)["options"].update(textMode="loud"),
        "'\"loud\"' is not assignable",
    ),
    "missing-key": (lambda board: board["spec"]["layout"].pop("kind"), "Property 'kind' is missing"),
    "older-transformation": (
        lambda board: board["spec"]["elements"]["panel-1"]["spec"]["data"]["spec"].update(
            transformations=[{"kind": "merge", "spec": {"id": "merge", "options": {}}}]
        ),
        "'\"merge\"' is not assignable to type '\"Transformation\"'",
    ),
}
OF_PERSES: dict[str, tuple[Mistake, str]] = {
    "unknown-word": (lambda board: first_chart(board).update(calculation="lately"), "'\"lately\"' is not assignable"),
    "missing-key": (lambda board: first_chart(board).pop("calculation"), "Property 'calculation' is missing"),
    "unknown-key": (lambda board: first_chart(board).update(wings=2), "'\"wings\"' does not exist"),
    "grafanas-unit": (
        lambda board: first_chart(board)["format"].update(unit="percentunit"),
        "'\"percentunit\"' is not assignable",
    ),
    "step-without-value": (
        lambda board: first_chart(board)["thresholds"]["steps"].append({"color": "#FFFFFF"}),
        "Property 'value' is missing",
    ),
}


@pytest.mark.parametrize(
    ("types", "folder", "mistakes"),
    [
        pytest.param("grafana.ts", build.RESOURCES, OF_GRAFANA, id="grafana"),
        pytest.param("perses.ts", build.PERSES, OF_PERSES, id="perses"),
    ],
)
def test_the_types_accept_the_dashboards_and_find_each_mistake(
    types: str, folder: Path, mistakes: dict[str, tuple[Mistake, str]], tmp_path: Path
) -> None:
    """One run of the compiler for all of them, because most of its time is the types'."""
    boards = {path.stem: load(folder / path.name) for path in FILES}
    broken = {name: load(folder / FILES[0].name) for name in mistakes}
    for name, (mistake, _) in mistakes.items():
        mistake(broken[name])
    found = findings(TYPES / types, {**boards, **broken}, tmp_path)
    assert {name: found[name] for name in boards} == {name: [] for name in boards}
    for name, (_, message) in mistakes.items():
        assert message in "\n".join(found[name]), name
