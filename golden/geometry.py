"""Where neurons and pixels lie: all index arithmetic of the network in one place.

A V1 neuron ``(i, j)`` on the sheet of ``(H/s, W/s)`` positions covers the image rows ``s*i - m .. s*i - m + p - 1``
(and the columns likewise) with the margin ``m = (p - s)/2``. Its receptive field is centred on the s x s cell below it
only when ``p - s`` is even: the paper's rule (15x15 at stride 1, even patches at even strides).
"""

from dataclasses import dataclass

from .errors import InputError


def _nearest_multiples(value: int, step: int) -> str:
    low = value // step * step
    return f"{low} or {low + step}" if low else f"{low + step}"


@dataclass(frozen=True)
class Geometry:
    """Image, channels, kernels, patch and stride, with everything that follows from them.

    Args:
        image: ``(H, W)`` in pixels.
        channels: C, planes of the image.
        kernels: K, independent kernels (feature maps).
        patch: p, side of a kernel in pixels.
        stride: s, pixels between neighbouring V1 positions.

    Raises:
        InputError: a number below 1, ``p < s``, odd ``p - s``, or a stride that does not divide the image; each
        message names
            the nearest legal values.
    """

    image: tuple[int, int]
    channels: int
    kernels: int
    patch: int
    stride: int

    def __post_init__(self) -> None:
        height, width = self.image
        for name, value in (
            ("image height", height),
            ("image width", width),
            ("channels", self.channels),
            ("kernels", self.kernels),
            ("patch", self.patch),
            ("stride", self.stride),
        ):
            if value < 1:
                raise InputError(f"network.{name} must be at least 1, not {value}")
        p, s = self.patch, self.stride
        if p < s:
            raise InputError(
                f"network.patch {p} is smaller than network.stride {s}: pixels would be left uncovered; "
                f"use patch {s} or more"
            )
        if (p - s) % 2:
            near = f"{p - 1} or {p + 1}" if p - 1 >= s else f"{p + 1}"
            raise InputError(
                f"network.patch {p} and network.stride {s} differ by an odd number, so no receptive field is "
                f"centred; use patch {near}"
            )
        for name, size in (("height", height), ("width", width)):
            if size % s:
                raise InputError(
                    f"network.stride {s} does not divide the image {name} {size}; "
                    f"use a {name} of {_nearest_multiples(size, s)}"
                )

    @property
    def margin(self) -> int:
        """m = (p - s)/2: pixels a receptive field reaches beyond its own cell on each side."""
        return (self.patch - self.stride) // 2

    @property
    def sheet(self) -> tuple[int, int]:
        """``(H/s, W/s)``: V1 positions per axis."""
        return self.image[0] // self.stride, self.image[1] // self.stride

    @property
    def cover(self) -> int:
        """ceil(p/s): the most V1 positions per axis that cover one pixel."""
        return -(-self.patch // self.stride)

    @property
    def reach(self) -> int:
        """ceil(p/s) - 1: neurons whose positions differ by more than this on an axis share no pixel."""
        return self.cover - 1

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """``(C, H, W)``."""
        return self.channels, *self.image

    @property
    def code_shape(self) -> tuple[int, int, int]:
        """``(K, H/s, W/s)``."""
        return self.kernels, *self.sheet

    @property
    def dictionary_shape(self) -> tuple[int, int, int, int]:
        """``(K, C, p, p)``."""
        return self.kernels, self.channels, self.patch, self.patch

    @property
    def neurons(self) -> int:
        """K * H/s * W/s."""
        return self.kernels * self.sheet[0] * self.sheet[1]

    @property
    def overcompleteness(self) -> float:
        """Neurons per image value: K / (C s^2)."""
        return self.kernels / (self.channels * self.stride**2)

    def covered(self, axis: int) -> int:
        """Pixels inside the image covered by all positions along one axis (0 rows, 1 columns), counted with repeats."""
        size, s, p, m = self.image[axis], self.stride, self.patch, self.margin
        return sum(min(s * i - m + p, size) - max(s * i - m, 0) for i in range(size // s))

    @property
    def pairs(self) -> int:
        """(pixel, neuron) pairs inside the image: the multiply-accumulates of one dense pass of Phi or its
        transpose.
        """
        return self.kernels * self.channels * self.covered(0) * self.covered(1)
