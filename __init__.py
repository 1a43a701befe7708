"""Striate: convolutional sparse coding from a floating-point model to gates.

::

    import striate as st

    design = st.Design(kernels=8, patch=16, stride=2)
    image = st.load_image("camera", crop=(70, 170), size=(128, 128))
    truth = st.encode(image, design)      # golden, float64
    run = st.simulate(image, design)      # the fixed-point machine
    analog = st.simulate_crossbar(image, design, seed=0)  # memristor crossbars
    st.emit(design, "build")              # Verilog
    st.verify(design, image)              # RTL against the machine

Everything is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from .golden.batch import encode_batch
    from .golden.dictionary import Dictionary
    from .golden.errors import InputError
    from .golden.images import Array, load_image
    from .golden.lca import Encoding, LcaParams, Outcome
    from .golden.learn import LearnParams, learn
    from .golden.solvers import Problem, Solution, solve
    from .hw.verify import Verdict
    from .sim.cost import Cost, cost
    from .sim.crossbar.loop import CrossbarRun, simulate_crossbar
    from .sim.design import Design
    from .sim.fixed import Format
    from .sim.machine import simulate
    from .sim.run import Run

_WHERE = {
    "Cost": ".sim.cost",
    "CrossbarRun": ".sim.crossbar.loop",
    "Design": ".sim.design",
    "Dictionary": ".golden.dictionary",
    "Encoding": ".golden.lca",
    "Format": ".sim.fixed",
    "InputError": ".golden.errors",
    "LcaParams": ".golden.lca",
    "LearnParams": ".golden.learn",
    "Outcome": ".golden.lca",
    "Problem": ".golden.solvers",
    "Run": ".sim.run",
    "Solution": ".golden.solvers",
    "Verdict": ".hw.verify",
    "cost": ".sim.cost",
    "encode_batch": ".golden.batch",
    "learn": ".golden.learn",
    "load_image": ".golden.images",
    "simulate": ".sim.machine",
    "simulate_crossbar": ".sim.crossbar.loop",
    "solve": ".golden.solvers",
}

__all__ = [
    "Cost",
    "CrossbarRun",
    "Design",
    "Dictionary",
    "Encoding",
    "Format",
    "InputError",
    "LcaParams",
    "LearnParams",
    "Outcome",
    "Problem",
    "Run",
    "Solution",
    "Verdict",
    "__version__",
    "cost",
    "emit",
    "encode",
    "encode_batch",
    "learn",
    "load_image",
    "simulate",
    "simulate_crossbar",
    "solve",
    "verify",
]


def __dir__() -> list[str]:
    return sorted(__all__)


def encode(image: "Array", design: "Design", *, membrane: "Array | None" = None, trace: bool = False) -> "Encoding":
    """Sparse-code an image (C, H, W) on the golden model, in float64, with the design's dynamics and dictionary.

    Args:
        image: already preprocessed, as `load_image` gives it. membrane: u_0 (K, H/s, W/s) of a warm start.
        trace: keep error, energy and activity of every step.

    Raises:
        InputError: an image of another shape or with NaN, a dictionary that is not there.
    """
    from .golden.lca import encode as golden_encode
    from .sim.machine import load_dictionary

    return golden_encode(image, load_dictionary(design), design.lca_params, membrane=membrane, trace=trace)


def emit(design: "Design", out: "str | os.PathLike[str]", *, force: bool = False) -> "list[Path]":
    """Write a design's Verilog, memory images, README and design file into a folder; the same bytes every time.

    Raises:
        InputError: a design that the machine refuses, or a folder that exists (without ``force``).
    """
    from pathlib import Path

    from .hw.emit import emit as hw_emit

    return hw_emit(design, Path(out), force=force)


def verify(design: "Design", image: "Array", *, steps: int | None = None) -> "Verdict":
    """Run an image (C, H, W) on the RTL and on the machine and compare every word and every cycle.

    Raises:
        InputError: an image or a design that the machine refuses.
    """
    from .hw.verify import verify as hw_verify

    return hw_verify(design, picture=image, steps=steps)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("striate")
        except PackageNotFoundError:  # a checkout that was not installed
            return "0.1.0"
    if name in _WHERE:
        return getattr(import_module(_WHERE[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
