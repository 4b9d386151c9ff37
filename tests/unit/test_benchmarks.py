"""The figures of docs/benchmarks.md: how they are made from the records, and that the page says what the records say."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import figures, page

DOCS = Path(__file__).parent.parent.parent / "docs"
RECORDS = sorted((DOCS / "benchmarks").glob("*.json"))


def run(number: int, key: str, wall: float, **more: float) -> dict[str, object]:
    return {
        "round": number,
        "key": key,
        "wall": wall,
        "cpu": 1.0,
        "memory": 10.0,
        "providers": 0.0,
        "processes": 0,
        **more,
    }


def race(*runs: dict[str, object], load: float = 0.2) -> SimpleNamespace:
    keys = dict.fromkeys(str(each["key"]) for each in runs)
    goal = {"limit": 1.5, "of": ["ssh", "empty"], "text": ""}
    return SimpleNamespace(contestants=keys, runs=list(runs), goal=goal, load=load)


def test_a_ratio_is_taken_within_each_round_and_the_median_counts() -> None:
    # The machine was ten times as slow in the second round: that changes no ratio.
    rounds = [
        {"ours": 3.0, "ssh": 1.0, "empty": 1.0},
        {"ours": 20.0, "ssh": 10.0, "empty": 10.0},
        {"ours": 4.0, "ssh": 1.0, "empty": 1.0},
    ]

    assert figures.median_ratio(rounds, "ours", ["ssh", "empty"]) == 1.5


def test_a_round_that_was_cut_off_does_not_count() -> None:
    assert figures.median_ratio([{"ours": 3.0, "ssh": 1.0}], "ours", ["ssh", "empty"]) is None


@pytest.mark.parametrize(("ours", "met"), [(3.0, True), (3.01, False)])
def test_a_goal_is_met_up_to_its_limit(ours: float, met: bool) -> None:
    table = figures.table(race(run(0, "ours", ours), run(0, "ssh", 1.0), run(0, "empty", 1.0)))  # type: ignore[arg-type]

    assert table["met"] is met


def test_a_contestant_that_ran_less_often_has_a_row() -> None:
    runs = [run(number, key, 2.0) for number in (0, 1) for key in ("ours", "ssh", "empty")]

    table = figures.table(race(*runs, run(0, "ansible", 8.0)))  # type: ignore[arg-type]

    assert [(row["wall"], row["times"], row["rounds"]) for row in table["rows"]][-1] == (8.0, 4.0, 1)


def test_a_busy_machine_is_told_from_the_load_before_the_first_run() -> None:
    quiet = race(run(0, "ours", 1.0))
    busy = race(run(0, "ours", 1.0), load=4.1)

    assert [figures.table(each)["busy"] for each in (quiet, busy)] == [False, True]  # type: ignore[arg-type]


def test_of_two_floors_the_faster_one_of_each_round_counts() -> None:
    rounds = [
        {"ours": 3.0, "one": 2.0, "both": 1.0, "empty": 1.0},
        {"ours": 3.0, "one": 0.5, "both": 9.0, "empty": 1.0},
    ]

    assert figures.median_ratio(rounds[:1], "ours", [["one", "both"], "empty"]) == 1.5
    assert figures.median_ratio(rounds[1:], "ours", [["one", "both"], "empty"]) == 2.0
    # Without both of them nobody knows which is the faster one.
    assert figures.median_ratio([{"ours": 3.0, "both": 1.0, "empty": 1.0}], "ours", [["one", "both"], "empty"]) is None


def curve(load: float = 0.2) -> SimpleNamespace:
    runs = [
        run(nodes, step, wall, state=state, processes=2, providers=102.0 + providers, memory=102.0 + memory)
        for nodes, wall, state, providers, memory in (
            (10, 20.0, 50_000, 10.0, 100.0),
            (100, 100.0, 1_000_000, 12.0, 150.0),
        )
        for step in figures.STEPS
    ]
    return SimpleNamespace(runs=runs, load=load)


def test_growth_compares_seconds_and_state_a_node_among_many_with_one_among_few() -> None:
    growth = figures.growth(curve())  # type: ignore[arg-type]

    # Seconds a node 2 -> 1, bytes of state a node 5,000 -> 10,000.
    assert {each["seconds"] for each in growth["growth"].values()} == {0.5}
    assert growth["state"] == 2.0


def test_growth_compares_memory_undivided_less_that_of_idle_providers() -> None:
    growth = figures.growth(curve())  # type: ignore[arg-type]

    # Ten times as many nodes hide nothing of it.
    assert {(each["memory"], each["providers"]) for each in growth["growth"].values()} == {(1.5, 1.2)}


def test_a_step_without_providers_has_no_growth_of_theirs() -> None:
    runs = [run(nodes, step, 1.0, state=1, memory=10.0) for nodes in (10, 100) for step in figures.STEPS]

    growth = figures.growth(SimpleNamespace(runs=runs, load=0.2))["growth"]  # type: ignore[arg-type]

    assert {each["providers"] for each in growth.values()} == {None}


def test_a_busy_machine_is_told_of_the_curve_too() -> None:
    assert [figures.growth(curve(load))["busy"] for load in (0.2, 4.1)] == [False, True]  # type: ignore[arg-type]


def read(path: Path) -> SimpleNamespace:
    return SimpleNamespace(**{"concurrency": "", **json.loads(path.read_text())})


PAGE = (DOCS / "benchmarks.md").read_text()


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_the_page_says_what_a_record_says(path: Path) -> None:
    record = read(path)

    assert record.complete
    if record.kind == "curve":
        growth = figures.growth(record)  # type: ignore[arg-type]
        for title, each in growth["growth"].items():
            cells = ["-" if times is None else f"{times:.2f}, {verdict(times)}" for times in each.values()]
            assert f"| {title} | {' | '.join(cells)} |\n" in PAGE
        assert f"State a node: {growth['state']:.2f}, {verdict(growth['state'])}.\n" in PAGE
        sections = PAGE.partition("## How it grows")[2]
    else:
        ratio = figures.table(record)["ratio"]  # type: ignore[arg-type]
        assert f"Measured: **{ratio:.2f}**" in PAGE
        sections = PAGE.partition("## How it grows")[0]
    if record.load > figures.BUSY:
        assert f"The machine was busy with something else (load {record.load})" in sections


def verdict(times: float) -> str:
    return "met" if times <= figures.LIMIT else "missed"


def test_the_page_is_what_is_made_of_the_records() -> None:
    records = [read(path) for path in RECORDS]
    profiles = [path.name for path in sorted((DOCS / "benchmarks").glob("profile-*.txt"))]

    assert page.render(records, "benchmarks/curve.svg", profiles) == PAGE  # type: ignore[arg-type]


def test_a_measurement_with_another_concurrency_has_a_table_of_its_own_that_says_it() -> None:
    (usual,) = (read(path) for path in RECORDS if path.stem == "nothing-100")
    other = SimpleNamespace(**{**vars(usual), "name": "nothing-100-concurrency-16", "concurrency": "16"})

    headings = re.findall("^## Nothing.*", page.render([other, usual], "", []), re.MULTILINE)  # type: ignore[list-item]

    usually = "## Nothing to do: 100 light compute nodes"
    assert headings == [usually, f"{usually}, `concurrency: 16`"]
