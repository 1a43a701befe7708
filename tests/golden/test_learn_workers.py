"""Who codes the crops changes no byte."""

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from striate.golden.errors import InputError
from striate.golden.lca import Outcome
from striate.golden.learn import LearnParams, WorkersLost, checkpoint_path, learn
from striate.golden.learn import pool as pools
from striate.golden.learn.coding import Coded, Packed, coder_of, do, jobs_of

SMALL = LearnParams(kernels=4, patch=8, stride=2, pictures=14, batch=4, crop_size=32, steps=15, seed=1, warm=True)


@pytest.fixture(autouse=True)
def quick_fits(monkeypatch):
    monkeypatch.setattr("striate.golden.learn.training.gabor_like", lambda dictionary: np.full(4, 0.5))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures")
    y, x = np.mgrid[:80, :90]
    for number in range(3):
        (path / f"{number}").mkdir()
        Image.fromarray((127 + 100 * np.sin(x / (3 + number)) * np.cos(y / 5 + x / 9)).astype(np.uint8)).save(
            path / f"{number}" / "waves.png")
    (path / "read.me").write_text("no picture")
    return path


@pytest.fixture(scope="module")
def alone(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("alone") / "d.npz"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("striate.golden.learn.training.gabor_like", lambda dictionary: np.full(4, 0.5))
        result = learn(SMALL, [folder], out)
    return result, out.read_bytes()


def test_crops_travel_whole():
    rng = np.random.default_rng(0)
    code = rng.standard_normal((3, 4, 5)) * (rng.random((3, 4, 5)) < 0.3)
    coded = Coded(code, rng.standard_normal((1, 8, 10)), rng.standard_normal((3, 4, 5)), Outcome.MAX_STEPS)
    again = Packed.of(coded).open()
    for name in ("code", "residual", "membrane"):
        np.testing.assert_array_equal(getattr(again, name), getattr(coded, name))
    assert again.outcome is Outcome.MAX_STEPS


@pytest.mark.parametrize("crops, workers, lengths", [(7, 3, [2, 2, 3]), (2, 5, [1, 1]), (4, 1, [4])])
def test_crops_are_shared_in_order(crops, workers, lengths):
    images, membranes = [np.full((1, 1, 1), n) for n in range(crops)], np.arange(crops)
    jobs = jobs_of(SMALL, images, None, membranes, workers)
    assert [len(job[1]) for job in jobs] == lengths
    assert [image[0, 0, 0] for job in jobs for image in job[1]] == list(range(crops))
    np.testing.assert_array_equal(np.concatenate([job[3] for job in jobs]), membranes)


def test_two_processes_learn_the_same_bytes(folder, alone, tmp_path):
    """Although one of them is killed on the way."""
    struck = []

    def kill(progress):
        if progress.done == 8 and not struck:
            struck.append(pools.multiprocessing.active_children()[0])
            os.kill(struck[0].pid, signal.SIGKILL)
            struck[0].join()

    result = learn(SMALL, [folder], tmp_path / "d.npz", workers=2, progress=kill)
    assert struck and result == alone[0] and (tmp_path / "d.npz").read_bytes() == alone[1]
    assert "3 pictures)" in result.dictionary.source


class Broken:
    def submit(self, *_):
        raise pools.BrokenExecutor

    def shutdown(self, **_):
        pass


def test_processes_that_always_die_end_the_run_and_keep_its_state(folder, alone, tmp_path, monkeypatch):
    out, real = tmp_path / "d.npz", pools.Pool.code

    class InProcess(Broken):
        def submit(self, work, job):
            from concurrent.futures import Future

            done = Future()
            done.set_result(work(job))
            return done

    executors = iter([InProcess(), Broken(), Broken(), Broken()])
    monkeypatch.setattr(pools.Pool, "_start", lambda self: next(executors))
    calls = []

    def code(self, *words):
        calls.append(words)
        if len(calls) == 3:
            self._executor = Broken()
        return real(self, *words)

    monkeypatch.setattr(pools.Pool, "code", code)
    with pytest.raises(WorkersLost, match="worker processes ended 3 times in a row over one batch: is memory short.*"
                                          "The same command continues"):
        learn(SMALL, [folder], out, workers=2)
    assert checkpoint_path(out).exists() and not out.exists()
    seen = []
    assert learn(SMALL, [folder], out, progress=seen.append) == alone[0]
    assert seen[0].first == 8 and out.read_bytes() == alone[1]


@contextlib.contextmanager
def cluster(workers):
    """A Dask scheduler with workers in processes of their own."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None) as found:
        yield found


@pytest.mark.filterwarnings("default")
def test_a_dask_cluster_learns_the_same_bytes(folder, alone, tmp_path):
    with cluster(2) as found:
        result = learn(SMALL, [folder], tmp_path / "d.npz", scheduler=found.scheduler_address)
    assert result == alone[0] and (tmp_path / "d.npz").read_bytes() == alone[1]


@pytest.mark.filterwarnings("default")
def test_a_scheduler_that_does_not_answer_is_refused(folder, tmp_path, monkeypatch):
    from striate.golden.learn import cluster as clusters

    monkeypatch.setattr(clusters, "ANSWER_S", 0.5)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    for wrong in (address, "nonsense://here", "127.0.0.1:x"):
        with pytest.raises(InputError, match=f"--scheduler {wrong}: no Dask scheduler answers there .*; start one with "
                                             "'dask scheduler' and give the address that it prints"):
            learn(SMALL, [folder], tmp_path / "d.npz", scheduler=wrong)
    assert list(tmp_path.iterdir()) == []


class Silent:
    def __init__(self, *faults):
        self.faults = list(faults)

    def wait_for_workers(self, *_, **__):
        if self.faults:
            raise self.faults.pop()

    def ncores(self):
        raise OSError("Timed out trying to connect.\nmore")

    def submit(self, *_, **__):
        raise ModuleNotFoundError("No module named 'striate'")


def test_clusters_that_cannot_work_are_refused():
    from striate.golden.learn.cluster import Cluster, _check_workers

    with pytest.raises(InputError, match="--scheduler a has no workers; start some with 'dask worker a --nthreads 1'"):
        _check_workers(Silent(TimeoutError()), "a")
    with pytest.raises(InputError, match="--scheduler a: its workers cannot run this package .No module named 'striate'"
                                         ".; install the same version of it there"):
        _check_workers(Silent(), "a")
    with pytest.raises(WorkersLost, match="the Dask workers at a did not finish a batch .Timed out trying to connect.; "
                                          "the same command continues"):
        Cluster(SMALL, Silent(), "a").code([], None, None)


@pytest.mark.parametrize("change, workers, scheduler, message", [
    ({}, 0, None, "--workers must be at least 1, not 0"),
    ({}, 2, "tcp://a:1", "--workers 2 and --scheduler exclude each other"),
    ({"batch": 1}, 4, None, "--workers 4 share the crops of a batch, and --batch is 1; use --batch 8, or leave it out"),
    ({"batch": 1}, 1, "tcp://a:1", "--scheduler tcp://a:1 share the crops of a batch, and --batch is 1; use --batch 8"),
    ({"engine": "torch"}, 2, None, "--workers 2 has no use with --engine torch, which codes a batch at once"),
])
def test_workers_that_make_no_sense_are_refused(change, workers, scheduler, message):
    with pytest.raises(InputError, match=message), coder_of(dataclasses.replace(SMALL, **change), workers, scheduler):
        pass


def test_a_killed_run_goes_on(folder, alone, tmp_path):
    """kill -9 in the middle: what was written last is enough, and nothing is left in the way."""
    script = tmp_path / "run.py"
    script.write_text(f"""
from striate.golden.learn import LearnParams, learn, state, training
state.CHECKPOINT_S = state.CHECKPOINT_TIMES = 0.0
import sys, time
def tell(p):
    print(p.done, flush=True)
    if p.done >= 8:
        time.sleep(60)
learn(LearnParams(**{SMALL.__dict__!r}), [{str(folder)!r}], sys.argv[1], progress=tell)
""")
    out = tmp_path / "d.npz"
    with subprocess.Popen([sys.executable, str(script), str(out)], stdout=subprocess.PIPE, text=True) as run:
        for line in run.stdout:
            if line.strip() == "8":
                break
        run.kill()
    seen = []
    assert learn(SMALL, [folder], out, progress=seen.append) == alone[0]
    assert seen[0].first == 8 and out.read_bytes() == alone[1]


def test_workers_end_with_their_parent():
    """A killed parent leaves no process behind."""
    script = ("import os, time\nfrom striate.golden.learn import LearnParams\n"
              "from striate.golden.learn.pool import Pool\n"
              "if __name__ == '__main__':\n    pool = Pool(LearnParams(), 1)\n"
              "    print(pool._executor.submit(os.getpid).result(), flush=True)\n    time.sleep(60)\n")
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        parent.kill()
    for _ in range(300):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        with contextlib.suppress(OSError, IndexError), open(f"/proc/{worker}/stat") as stat:
            if stat.read().rpartition(")")[2].split()[0] == "Z":  # nobody collects it here
                return
        time.sleep(0.1)
    pytest.fail(f"process {worker} is still there")


def test_a_worker_does_what_this_process_would(folder):
    params = dataclasses.replace(SMALL, warm=False)
    images = [np.random.default_rng(n).standard_normal((1, 32, 32)) for n in range(2)]
    job, = jobs_of(params, images, params.beginning(), None, 1)
    with coder_of(params, 1, None) as here:
        for packed, coded in zip(do(job), here.code(images, params.beginning(), None), strict=True):
            np.testing.assert_array_equal(packed.open().code, coded.code)
            np.testing.assert_array_equal(packed.residual, coded.residual)
            assert packed.membrane is None and coded.membrane is None
