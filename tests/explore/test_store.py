"""The store of a sweep: keys, states, what it refuses, what it keeps when a process is killed."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from striate.explore.points import DONE, FAILED, QUEUED, Point, Sweep, canonical
from striate.explore.store import Store
from striate.golden.errors import InputError

SWEEP = Sweep("a.module:job", 1, {"design": "d" * 64})
POINTS = [Point({"x": x, "on": "y"}, seed) for x in range(3) for seed in range(2)]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(parameters=st.dictionaries(st.text(), JSON, max_size=4), seed=st.integers(0, 2**31))
def test_keys_follow_the_values_and_not_their_order(parameters: dict[str, object], seed: int) -> None:
    key = SWEEP.key(Point(parameters, seed))
    assert key == SWEEP.key(Point(dict(reversed(list(parameters.items()))), seed))
    assert key != SWEEP.key(Point(parameters, seed + 1)) and key != SWEEP.key(Point({**parameters, "new": 0}, seed))


def test_a_key_is_the_hash_of_everything_that_makes_a_result() -> None:
    text = '{"identity":{"design":"%s","job":"a.module:job","version":1},"parameters":{"x":0.5},"seed":7}' % ("d" * 64)
    assert SWEEP.key(Point({"x": 0.5}, 7)) == hashlib.sha256(text.encode()).hexdigest()
    others = [Sweep("a.module:job", 2, SWEEP.base), Sweep("other:job", 1, SWEEP.base), Sweep(SWEEP.job, 1, {})]
    assert len({sweep.key(Point({"x": 0.5}, 7)) for sweep in (SWEEP, *others)}) == 4
    moved = Sweep(SWEEP.job, 1, SWEEP.base, {"folder": "elsewhere"})
    assert moved.key(POINTS[0]) == SWEEP.key(POINTS[0])


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError):
        canonical({"x": float("nan")})
    with pytest.raises(TypeError):
        canonical({"x": object()})


def test_points_through_their_states(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "points.sqlite"
    with Store(path, SWEEP) as store:
        keys = store.add([*POINTS, POINTS[0]])
        assert len(keys) == len(POINTS) and {entry.state for entry in store.entries()} == {QUEUED}
        for key in keys[:3]:
            store.start(key)
        store.finish(keys[0], {"error": 0.1}, 1.5)
        store.fail(keys[1], "no\nroom", 0.5)
        with pytest.raises(KeyError):
            store.finish(keys[0], {"error": 0.2}, 1.0)  # finished once is finished
        with pytest.raises(KeyError):
            store.start(keys[1])
    with Store(path, SWEEP) as store:
        assert store.add(POINTS) == keys
        first, second, third, *rest = store.entries(keys)
        assert (first.state, first.result, first.runs, first.seconds) == (DONE, {"error": 0.1}, 1, 1.5)
        assert (second.state, second.error, second.result) == (FAILED, "no room", None)
        assert (third.state, third.runs) == (QUEUED, 1) and [entry.runs for entry in rest] == [0, 0, 0]
        assert [entry.point for entry in store.entries(keys)] == POINTS
        store.retry(keys)
        assert [entry.state for entry in store.entries(keys[:2])] == [DONE, QUEUED]
        assert store.entries(keys[::-1])[-1] == first


def test_the_digest_is_of_results_alone() -> None:
    def filled(order: list[int], times: int, value: float) -> str:
        with Store(None, SWEEP) as store:
            keys = store.add(POINTS)
            for n in order:
                for _ in range(times):
                    store.start(keys[n])
                store.finish(keys[n], [n, value], 0.1 * times)
            return store.digest()

    assert filled([0, 1, 2], 1, 0.1) == filled([2, 0, 1], 3, 0.1)
    assert len({filled([0, 1, 2], 1, 0.1), filled([0, 1, 2], 1, 0.2), filled([0, 1], 1, 0.1)}) == 3


def test_another_sweep_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "points.sqlite"
    Store(path, SWEEP).close()
    for other, why in (
        (Sweep(SWEEP.job, 2, SWEEP.base), "of version 1, not 2"),
        (Sweep(SWEEP.job, 1, {"design": "e" * 64}), "of other design"),
        (Sweep(SWEEP.job, 1, {**SWEEP.base, "pictures": ["a"]}), "of other pictures"),
    ):
        with pytest.raises(InputError) as caught:
            Store(path, other)
        assert f"holds another sweep ({why}); name another folder, or replace it with --force" in str(caught.value)
        assert "\n" not in str(caught.value)
    for other in (Sweep("b:job", 1, SWEEP.base), Sweep("b:job", 2, {})):
        with pytest.raises(InputError) as caught:
            Store(path, other)
        why = 'of job "a.module:job", not "b:job"'
        assert str(caught.value) == f"{path} holds another experiment ({why}); name another folder"
    Store(path, SWEEP).close()  # still whole, and its lock given back


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "points.sqlite"
    path.write_bytes(b"something else, longer than the head of a database" * 40)
    with pytest.raises(InputError, match="is no store of a sweep"):
        Store(path, SWEEP)
    other = tmp_path / "other.sqlite"
    base = sqlite3.connect(other)
    base.execute("CREATE TABLE mine (x)")
    base.close()
    with pytest.raises(InputError, match="was written by another version"):
        Store(other, SWEEP)
    with pytest.raises(InputError, match="cannot make"):
        Store(path / "inside.sqlite", SWEEP)


def test_one_process_fills_it_and_others_may_look(tmp_path: Path) -> None:
    path = tmp_path / "points.sqlite"
    with Store(path, SWEEP) as store:
        keys = store.add(POINTS)
        store.start(keys[0])
        store.finish(keys[0], 1, 0.1)
        with pytest.raises(InputError, match="is being filled by another process"):
            Store(path, SWEEP)
        reader = sqlite3.connect(path)
        assert reader.execute("SELECT count(*) FROM points WHERE state = 'done'").fetchone() == (1,)
        reader.close()
    Store(path, SWEEP).close()


def test_no_right_to_write_is_one_line(tmp_path: Path) -> None:
    store = Store(tmp_path / "points.sqlite", SWEEP)
    store.add(POINTS)
    store._base.execute("PRAGMA query_only=ON")
    with pytest.raises(InputError, match=r"cannot write .*; make room, then give the command again"):
        store.add([Point({"x": 99})])
    store.close()


def test_killed_between_tables_and_mark(tmp_path: Path) -> None:
    path = tmp_path / "points.sqlite"
    with Store(path, SWEEP) as store:
        store._base.execute("DELETE FROM sweep")
    with Store(path, SWEEP) as store:
        assert store.add(POINTS)


def test_begun_anew_only_by_who_has_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "points.sqlite"
    with Store(path, SWEEP) as store:
        keys = store.add(POINTS)
        with pytest.raises(InputError, match="is being filled by another process"):
            Store(path, SWEEP, anew=True)
        store.start(keys[0])
        store.finish(keys[0], 1, 0.1)  # nothing was taken from under it
    with Store(path, SWEEP) as store:
        assert store.entries(keys)[0].state == DONE
    with Store(path, Sweep("other:job", 1, {}), anew=True) as store:
        assert store.entries() == []
    path.write_bytes(b"no store at all, and long enough to be read as one" * 40)
    with Store(path, SWEEP, anew=True) as store:
        assert len(store.add(POINTS)) == len(POINTS)


def test_a_damaged_store_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "points.sqlite"
    with Store(path, SWEEP) as store:
        store.add([Point({"x": x, "long": "y" * 200}) for x in range(400)])
    whole = path.read_bytes()
    assert len(whole) > 20 * 4096
    path.write_bytes(whole[: 4 * 4096] + b"\xff" * (len(whole) - 4 * 4096))
    store = Store(path, SWEEP)
    for use in (lambda: store.add(POINTS), lambda: store.entries(), lambda: store.digest()):
        with pytest.raises(InputError, match="points.sqlite is damaged .*; begin anew with --force"):
            use()
    store.close()
    path.write_bytes(whole)
    with Store(path, SWEEP) as store:
        store._base.execute("UPDATE points SET parameters = '{'")
        with pytest.raises(InputError, match="is damaged"):
            store.entries()
