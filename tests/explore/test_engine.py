"""The engine: any order and any number of processes find the same, nothing is lost by a kill, nothing runs twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from striate.explore.engine import Progress, run
from striate.explore.points import DONE, FAILED, QUEUED, Point, Sweep
from striate.explore.store import Store
from striate.explore.worker import resolve
from striate.golden.errors import InputError

JOB = '''
import os, sys, time
from striate.golden.errors import InputError


def job(context, parameters, seed):
    """Notes every run in a file, so that the store's own count has a witness."""
    x = parameters["x"]
    print("a job may print")
    time.sleep(parameters.get("sleep", 0))
    if parameters.get("what") == "wrong":
        raise InputError(f"x cannot be {x}; use another")
    if parameters.get("what") == "mistake":
        return 1 / 0
    if parameters.get("what") == "not json":
        return {"x": float("nan")}
    if parameters.get("what") == "dies":
        print("something burst", file=sys.stderr)
        os._exit(3)
    if parameters.get("what") == "killed":
        os.kill(os.getpid(), 9)
    with open(context["log"], "a") as log:
        log.write(f"{x} {seed}\\n")
    return {"value": x * x + seed, "threads": os.environ["OPENBLAS_NUM_THREADS"]}
'''
SWEEPER = """
import json, sys
from pathlib import Path
from striate.explore.engine import run
from striate.explore.points import Point, Sweep
from striate.explore.store import Store
sweep = Sweep("jobs_for_the_engine:job", 1, {}, {"log": sys.argv[2]})
points = [Point({"x": x, "sleep": 0.002}, seed) for x in range(125) for seed in range(4)]
with Store(Path(sys.argv[1]), sweep) as store:
    run(store, points, jobs=2)
    print(store.digest())
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file that runs are noted in; the job's module can be imported here and in processes."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "jobs_for_the_engine.py").write_text(JOB)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    yield tmp_path / "log"
    sys.modules.pop("jobs_for_the_engine", None)


def sweep_of(log: Path) -> Sweep:
    return Sweep("jobs_for_the_engine:job", 1, {}, {"log": str(log)})


def runs_in(log: Path) -> Counter[str]:
    return Counter(log.read_text().split("\n")[:-1]) if log.exists() else Counter()


def test_same_content_whatever_the_order_and_the_number_of_processes(log: Path) -> None:
    points = [Point({"x": x, "what": "wrong"} if x == 7 else {"x": x}, seed) for x in range(12) for seed in range(2)]
    digests = []
    for jobs, order in ((1, points), (2, points), (3, random.Random(5).sample(points, len(points)))):
        with Store(None, sweep_of(log)) as store:
            end = run(store, order, jobs=jobs)
            assert (end.points, end.done, end.failed, end.ran) == (24, 22, 2, 24)
            digests.append(store.digest())
            entry = store.entries(store.add([points[5]]))[0]
            assert entry.result == {"value": 5, "threads": "1"} and entry.runs == 1 and entry.seconds is not None
    assert len(set(digests)) == 1
    assert set(runs_in(log).values()) == {3}


def test_failed_points_are_kept_with_their_line_and_the_sweep_goes_on(log: Path) -> None:
    kinds = ["wrong", "mistake", "not json", "dies", "killed"]
    points = [Point({"x": 1, "what": what}) for what in kinds] + [Point({"x": x}) for x in range(4)]
    told: list[Progress] = []
    with Store(None, sweep_of(log)) as store:
        end = run(store, points, jobs=1, progress=told.append)
        entries = store.entries(store.add(points))
        assert [entry.state for entry in entries] == [FAILED] * 5 + [DONE] * 4
        wrong, mistake, not_json, dies, killed = (str(entry.error) for entry in entries[:5])
        assert wrong == "x cannot be 1; use another"
        assert mistake.endswith("ZeroDivisionError: division by zero") and mistake.startswith("jobs_for_the_engine.py:")
        assert "ValueError: Out of range float values are not JSON compliant" in not_json
        assert dies == "its process ended with status 3: something burst"
        assert killed == "its process was ended by signal 9: a job may print"
        assert [p.ran for p in told] == list(range(1, 10)) and told[-1].share == 1 and told[-1].remaining == 0
        assert told[0].remaining is not None and told[0].remaining > 0 and end.failed == 5
        again = run(store, points, jobs=2)
        assert again.ran == 0 and again.failed == 5 and again.remaining is None
        more = run(store, points, jobs=2, retry=True)
        assert more.ran == 5 and [entry.runs for entry in store.entries(store.add(points))] == [2] * 5 + [1] * 4


def test_points_that_come_later_join_those_that_are_there(log: Path) -> None:
    with Store(None, sweep_of(log)) as store:
        run(store, [Point({"x": x}) for x in range(3)], jobs=1)
        end = run(store, [Point({"x": x}) for x in range(5)], jobs=1)
        assert (end.points, end.done, end.ran) == (5, 5, 2)
        assert run(store, [], jobs=1).share == 1


def test_killed_midway_and_resumed_nothing_is_lost_and_nothing_runs_twice(log: Path, tmp_path: Path) -> None:
    path = tmp_path / "points.sqlite"
    command = [sys.executable, "-c", SWEEPER, str(path), str(log)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    while sum(runs_in(log).values()) < 150:
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with Store(path, sweep_of(log)) as store:
        before = store.entries()
        done = [entry for entry in before if entry.state == DONE]
        assert len(before) == 500 and 140 < len(done) < 490
        assert sum(entry.runs for entry in before) - len(done) <= 2  # in hand, one a process
    second = subprocess.run(command, capture_output=True, text=True, check=True)
    with Store(path, sweep_of(log)) as store:
        after = store.entries()
        assert [entry.state for entry in after] == [DONE] * 500
        twice = {entry.key for entry in after if entry.runs != 1}
        assert len(twice) <= 2 and not twice & {entry.key for entry in done}
        assert {entry.key: entry for entry in after if entry.key in {e.key for e in done}} == {e.key: e for e in done}
        assert all(entry.result["value"] == entry.point.parameters["x"] ** 2 + entry.point.seed for entry in after)
        digest = store.digest()
    noted = runs_in(log)
    assert len(noted) == 500 and sum(noted.values()) <= 502
    assert second.stdout.strip() == digest
    with Store(None, sweep_of(log)) as whole:  # and a sweep that nobody disturbed finds the same
        run(whole, [entry.point for entry in after], jobs=2)
        assert whole.digest() == digest


@pytest.fixture
def heeds_ctrl_c() -> Iterator[None]:
    """A shell starts its background jobs with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_ctrl_c_keeps_what_is_finished(log: Path) -> None:
    points = [Point({"x": x, "sleep": 0.001}) for x in range(200)]

    def interrupt(progress: Progress) -> None:
        if progress.ran == 20:
            os.kill(os.getpid(), signal.SIGINT)

    with Store(None, sweep_of(log)) as store:
        with pytest.raises(KeyboardInterrupt):
            run(store, points, jobs=2, progress=interrupt)
        states = Counter(entry.state for entry in store.entries())
        assert 20 <= states[DONE] <= 24 and states[QUEUED] == 200 - states[DONE]
        assert run(store, points, jobs=2).done == 200
        assert sum(entry.runs for entry in store.entries()) <= 202


def test_processes_end_with_the_one_that_asked(log: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "striate.explore.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    assert process.wait(20) == 0
    process.stdout.close()


def test_wrong_use(log: Path) -> None:
    with Store(None, sweep_of(log)) as store, pytest.raises(InputError, match="jobs must be at least 1, not 0"):
        run(store, [], jobs=0)
    for name in ("striate.explore.store", "no.such:job", "striate.explore.store:nothing"):
        with pytest.raises(ValueError, match=f"no job '{name}'; write it as package.module:function"):
            resolve(name)
        with Store(None, Sweep(name, 1, {})) as store, pytest.raises(ValueError, match="no job"):
            run(store, [Point({})])
