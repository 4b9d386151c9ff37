"""The figures of docs/benchmarks.md: how they are made from the records, and that the page says what the records say."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import figures

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


def test_growth_compares_a_node_among_many_with_one_among_few() -> None:
    runs = [
        run(nodes, step, wall, state=state, processes=1, providers=51.0 + memory)
        for nodes, wall, state, memory in ((10, 20.0, 50_000, 10.0), (100, 100.0, 1_000_000, 50.0))
        for step in figures.STEPS
    ]

    growth = figures.growth(SimpleNamespace(runs=runs))["growth"]  # type: ignore[arg-type]

    # Seconds a node 2 -> 1, bytes of state a node 5,000 -> 10,000, MB a node 1 -> 0.5.
    assert growth == {**dict.fromkeys(figures.STEPS.values(), 0.5), "state": 2.0, "memory of the providers": 0.5}


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_the_page_says_what_a_record_says(path: Path) -> None:
    record = SimpleNamespace(**json.loads(path.read_text()))
    page = (DOCS / "benchmarks.md").read_text()

    assert record.complete
    if record.kind == "curve":
        return
    ratio = figures.table(record)["ratio"]  # type: ignore[arg-type]
    assert f"Measured: **{ratio:.2f}**" in page
