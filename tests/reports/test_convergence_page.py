"""The convergence experiment's verb, folder and page."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from striate.explore.papers.convergence import ENTRANTS, HALF_LABEL, Task, converge
from striate.explore.papers.convergence_claims import claims
from striate.golden.archive import load_npz
from striate.golden.errors import InputError
from striate.reports.papers import convergence as pages
from striate.reports.papers.convergence import (
    HEADS,
    check_folder,
    convergence_json,
    convergence_lines,
    rows_of,
    save_convergence,
)
from striate.reports.papers.convergence_figures import curves_figure
from striate.verbs.reproduce import reproduce


@pytest.fixture(scope="module")
def result():
    """A quick look, judged all the same."""
    quick = converge((Task("tiny", 2, 16, True, "cropped"),), share=0.01)
    return replace(quick, claims=claims(quick.found), unjudged=(), share=1.0)


@pytest.fixture(scope="module")
def kept_in(result, tmp_path_factory):
    """A folder that the experiment filled."""
    out = tmp_path_factory.mktemp("convergence") / "out"
    info = convergence_json(result) | {"command": "striate reproduce solvers --out <out>", "versions": {"numpy": "2"}}
    save_convergence(out, info, result)
    return out


def test_a_folder_holds_page_figures_curves_and_json(result, kept_in):
    out = kept_in
    assert sorted(path.name for path in out.iterdir()) == ["convergence-tiny.png", "curves.npz", "report.html",
                                                           "run.json"]
    kept = json.loads((out / "run.json").read_text())
    assert kept["on"] == "solvers" and [c["name"] for c in kept["claims"]][0] == "one-optimum"
    assert {c["verdict"] for c in kept["claims"]} <= {"holds", "partly holds", "does not hold"}
    lca = kept["problems"][0]["solvers"][0]
    curves = load_npz(out / "curves.npz", None)
    assert lca["solver"] == "LCA, soft" and lca["objective"] == curves["tiny/LCA, soft/objective"][-1]
    np.testing.assert_array_equal(curves["tiny/ADMM/active"], result.found[0].curve("ADMM").active)
    text = (out / "report.html").read_text()
    assert "striate reproduce solvers --out &lt;out&gt;" in text and "http" not in re.sub(r"xmlns\S*", "", text)


def test_the_page_names_every_solver_and_verdict(result, kept_in):
    text = (kept_in / "report.html").read_text()
    for claim in result.claims:
        assert f'id="claim-{claim.name}"' in text
    for row in rows_of(result.found[0]):
        assert len(row) == len(HEADS) and row[0] in text
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    lines = convergence_lines(result)
    assert lines[0] == result.found[0].task.title and lines[-1].startswith("half-is-sparser: ")
    assert "A quick look" not in text and ">not judged<" not in text


def test_a_quick_look_says_so_and_judges_nothing(result):
    quick = replace(result, claims=(), unjudged=(("momentum", "share 0.2"),), share=0.2)
    info = convergence_json(quick)
    assert info["claims"] == [] and info["unjudged"] == [{"name": "momentum", "why": "share 0.2"}]
    assert convergence_lines(quick)[-1] == "momentum: not judged (share 0.2)"
    text = pages.page(info, quick)
    assert "A quick look: each solver ran only 0.2 of its iterations." in text
    assert '<span class="badge">not judged</span><b>momentum</b> (share 0.2)' in text and "claim-" not in text


def test_every_line_has_a_name_and_what_is_cut_is_said(result, kept_in):
    figure = curves_figure(result.found[0])
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [*(each.label for each in ENTRANTS), "1e-4 above the best"]
    distances, _, active, own = figure.axes
    lines = {line.get_label(): line for line in distances.lines}
    fista, without = lines["FISTA"], lines["FISTA, no restart"]
    assert fista.get_linewidth() > 2 * without.get_linewidth() and without.is_dashed() and not fista.is_dashed()
    highest = max(float(np.max(line.get_ydata())) for line in active.lines)
    top = active.get_ylim()[1]
    assert active.get_title() == ("codes that are not 0" + (f" (cut at {top:.0f} %)" if highest > top else ""))
    assert HALF_LABEL in [text.get_text() for text in own.get_legend().get_texts()]
    text = (kept_in / "report.html").read_text()
    assert "(crop at row 96, column 208)" in text and "<th>iterations until within 1e-4</th>" in text
    setup = result.found[0].curve("coordinate descent").seconds[0]
    assert f"That set-up is in its seconds: {setup:.2f} s (tiny)." in text


def test_folders_of_others_are_refused(kept_in, tmp_path):
    check_folder(tmp_path / "new", False)
    file = tmp_path / "file"
    file.write_text("")
    out = tmp_path / "out"
    shutil.copytree(kept_in, out)
    check_folder(out, True)
    with pytest.raises(InputError, match="is not empty; --force replaces it"):
        check_folder(out, False)
    with pytest.raises(InputError, match="is a file; name a folder"):
        check_folder(file, True)
    (out / "notes.txt").write_text("")
    with pytest.raises(InputError, match="holds notes.txt, which this experiment did not write"):
        check_folder(out, True)
    (out / "notes.txt").unlink()
    (out / "run.json").unlink()
    with pytest.raises(InputError, match="holds no run of this experiment"):
        check_folder(out, True)


def test_the_verb(monkeypatch, tmp_path):
    from striate.explore.papers import convergence

    monkeypatch.setattr(convergence, "TASKS", (Task("tiny", 2, 16, True, "cropped"),))
    out = tmp_path / "out"
    told = CliRunner().invoke(reproduce, ["solvers", "--out", str(out), "--share", "0.01", "--json"])
    assert told.exit_code == 0, told.output
    info = json.loads(told.stdout)
    assert info["on"] == "solvers" and info["share"] == 0.01 and info["seconds"] > 0
    assert info["claims"] == [] and info["unjudged"][0] == {"name": "one-optimum", "why": "share 0.01"}
    assert json.loads((out / "run.json").read_text())["problems"] == info["problems"]
    for extra, message in [
        ([], "is not empty; --force replaces it"),
        (["--share", "0"], "--share must be above 0 and at most 1, not 0"),
        (["--only", "three-sided"], "--only: no problem 'three-sided'; there are tiny"),
    ]:
        again = CliRunner().invoke(reproduce, ["solvers", "--out", str(out), *extra])
        assert isinstance(again.exception, InputError) and message in str(again.exception)
    monkeypatch.setattr(pages, "save_convergence", lambda *_: None)  # drawn once above
    options = ["--share", "0.01", "--only", "tiny", "--force"]
    plain = CliRunner().invoke(reproduce, ["solvers", "--out", str(out), *options])
    assert plain.exit_code == 0 and "kept in" in plain.stdout
    assert "one-optimum: not judged (share 0.01)\n" in plain.stdout
