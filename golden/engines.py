"""Which engine of `lca.encode` is the fastest on the CPU: a model of their time, for callers that ask.

Nothing switches by itself: an engine is always named, and the name is written with the results. The constants are
measured (`benchmarks/engines.py`, float64, one core); where both times are close either engine will do.
"""

from .conv import Border
from .dictionary import Dictionary
from .fft import period_cells
from .lca import Engine

# Of one step. "fast" is bound by the products of Phi^T r, "fft" by those at every frequency and by the neurons'
# transforms. On the benchmark's networks the measured times are 0.6 to 1.5 of the model's, except where "fast" takes a
# sixth of a millisecond (8x8 kernels: 2.4) and its rest, the scatter of the active codes, shows.
_FAST_PRODUCT_NS = 0.031
_FFT_PRODUCT_NS = 5.5
_FFT_NEURON_NS = 25.0


def modelled_step_ms(dictionary: Dictionary, image_shape: tuple[int, int], engine: Engine,
                     border: Border = "cropped") -> float:
    """Modelled milliseconds of one step of the engine "fast" or "fft" on an image of ``(H, W)`` pixels, at rest.

    Raises:
        ValueError: another engine.
        InputError: an image that the stride does not divide.
    """
    g = dictionary.geometry(image_shape)
    if engine == "fast":
        return 1e-6 * _FAST_PRODUCT_NS * g.neurons * g.channels * g.patch**2
    if engine != "fft":
        raise ValueError(f"no model of the engine '{engine}'")
    rows, columns = period_cells(g, border)
    products = rows * (columns // 2 + 1) * g.kernels * g.channels * g.stride**2
    return 1e-6 * (_FFT_PRODUCT_NS * products + _FFT_NEURON_NS * g.neurons)


def best_engine(dictionary: Dictionary, image_shape: tuple[int, int], border: Border = "cropped") -> Engine:
    """"fast" or "fft", whichever `modelled_step_ms` says is quicker for this dictionary on ``(H, W)`` pixels.

    At stride 4 and 32 kernels "fft" wins from patches of about 50 pixels on; at smaller strides later.

    Raises:
        InputError: an image that the stride does not divide.
    """
    times = {engine: modelled_step_ms(dictionary, image_shape, engine, border) for engine in ("fast", "fft")}
    return "fft" if times["fft"] < times["fast"] else "fast"
