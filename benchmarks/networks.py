"""The networks that the benchmarks run, and the same network written plainly in NumPy and in PyTorch."""

import numpy as np
import numpy.typing as npt

from striate.golden.dictionary import Dictionary, shipped
from striate.golden.images import load_image

Array = npt.NDArray[np.floating]

W1, W2, W3, SMALL = "W1: 128x128, 32@2", "W2: 128x128, 32@1", "W3: 512x512, 32@4", "128x128, 8@2"
THRESHOLD, ETA, CUTOFF = 0.05, 1 / 32, 0.005


def picture(size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """The photograph "camera": whole, or the crop around the head that all 128x128 figures use."""
    return load_image("camera", size=size) if size == (512, 512) else load_image("camera", crop=(70, 170), size=size)


def dictionary(name: str) -> Dictionary:
    """Kernels of a network. Trained ones exist for stride 2 alone, so W3 and W2 borrow those.

    W3: the kernels of W1 at stride 4. W2: the same cut to their middle 15x15 pixels, unit norm again, at stride 1.
    """
    if name == SMALL:
        return shipped(8, 16, 2)
    trained = shipped(32, 16, 2)
    if name == W1:
        return trained
    if name == W3:
        return Dictionary(trained.atoms, 4, "natural-k32-p16-s2 at stride 4")
    cut = trained.atoms[:, :, :15, :15]
    cut = cut / np.linalg.norm(cut.reshape(len(cut), -1), axis=1)[:, None, None, None]
    return Dictionary(cut, 1, "natural-k32-p16-s2 cut to 15x15 at stride 1")


def numpy_lca(image: Array, atoms: Array, stride: int, steps: int, kind: type[np.floating]) -> Array:
    """``steps`` steps as an im2col loop: every patch unrolled, one matrix product each way. Returns y (K, H/s, W/s).

    Positions are innermost: with kernels innermost the same loop takes more than twice the time.
    """
    (height, width), (kernels, _, patch, _) = image.shape[1:], atoms.shape
    margin, (rows, columns) = (patch - stride) // 2, (height // stride, width // stride)
    x = image[0].astype(kind)
    weights = np.ascontiguousarray(atoms.reshape(kernels, -1).astype(kind))
    padded, canvas = (np.zeros((height + 2 * margin, width + 2 * margin), kind) for _ in range(2))
    inside = slice(margin, margin + height), slice(margin, margin + width)
    reach = (height + 2 * margin - patch + 1, width + 2 * margin - patch + 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach)[:, :, ::stride, ::stride]
    y = u = np.zeros((kernels, rows * columns), kind)
    for _ in range(steps):
        parts = (weights.T @ y).reshape(patch, patch, rows, columns)
        canvas[:] = 0
        for q in range(patch):
            for t in range(patch):
                canvas[q : q + stride * rows : stride, t : t + stride * columns : stride] += parts[q, t]
        residual = x - canvas[inside]
        padded[inside] = np.where(np.abs(residual) >= CUTOFF, residual, kind(0))
        drive = weights @ windows.reshape(patch * patch, rows * columns)
        u = u + kind(ETA) * (drive + y - u)
        y = np.where(u >= kind(THRESHOLD), u, kind(0))
    return y.reshape(kernels, rows, columns)


def torch_lca(image: Array, atoms: Array, stride: int, steps: int) -> Array:
    """The same with conv2d and conv_transpose2d in float32 on one thread. Returns y (K, H/s, W/s).

    Raises:
        ImportError: PyTorch is an optional extra.
    """
    import torch
    from torch.nn.functional import conv2d, conv_transpose2d

    torch.set_num_threads(1)
    margin = (atoms.shape[-1] - stride) // 2
    with torch.no_grad():
        x, weights = (torch.from_numpy(np.array(a, np.float32)) for a in (image[None], atoms))
        u = y = torch.zeros_like(conv2d(x, weights, stride=stride, padding=margin))
        for _ in range(steps):
            residual = x - conv_transpose2d(y, weights, stride=stride, padding=margin)
            kept = torch.where(residual.abs() >= CUTOFF, residual, 0.0)
            u = u + ETA * (conv2d(kept, weights, stride=stride, padding=margin) + y - u)
            y = torch.where(u >= THRESHOLD, u, 0.0)
        return y[0].numpy()
