"""Wire resistance, exactly: what the terminals of a programmed crossbar see is one matrix of conductances.

Device (i, j) joins node w_ij of row wire i to node b_ij of column wire j. Neighbouring nodes of a row are ``r_word``
apart, neighbouring nodes of a column ``r_bit``. Row i ends at its left in one segment more and its termination; column
j ends at its bottom (the last row) likewise; the other ends are open. Kirchhoff's current law at the nodes::

    w_ij:  g (w_ij - w_i,j-1) + (w_ij - w_i,j+1) / r_word + G_ij (w_ij - b_ij) = 0
    b_ij:  (b_ij - b_i-1,j) / r_bit + h (b_ij - b_i+1,j) + G_ij (b_ij - w_ij) = 0

(g = 1 / r_word, at j = 0 it is 1 / (r_word + r_left) towards the source V_i; h = 1 / r_bit, at the bottom
1 / (r_bit + r_bottom) towards 0 V; no second term at an open end) is one symmetric positive definite system. With
linear devices every read is then a product with one matrix, found once from min(m, n) right-hand sides (nodal analysis
as in Ho, Ruehli and Brennan, IEEE Trans. Circuits Syst. 22, 504, 1975; eliminating the inner nodes is Kron's
reduction). Lines without resistance are not approximated by small ones: their nodes are one node, or the source holds
them. Currents of terminals are sums of device currents, not differences along a wire, which would cost digits.
"""

import math
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...golden.errors import InputError
from .wires.nodal import System, Wires

Floats = NDArray[np.float64]


def conductances(g_s: ArrayLike) -> Floats:
    """A checked copy in float64.

    Args:
        g_s: (m, n) siemens, 0 or more.

    Raises:
        InputError: not a matrix, empty, or a value that is negative, infinite or not a number.
    """
    try:
        values = np.array(g_s, np.float64)
    except (TypeError, ValueError):
        raise InputError("conductances are not a matrix of numbers; give (rows, columns) siemens") from None
    if values.ndim != 2 or not values.size:
        raise InputError(f"conductances have shape {values.shape}; give a matrix (rows, columns) of at least one cell")
    wrong = ~(np.isfinite(values) & (values >= 0))
    if wrong.any():
        i, j = np.argwhere(wrong)[0].tolist()
        raise InputError(f"conductance of cell ({i}, {j}) is {values[i, j]:g} S; give a finite value of 0 or more")
    return values


def _resistance(name: str, value: float, *, open_too: bool) -> float:
    """The value, or an InputError: wires are finite, a termination may be open (infinite)."""
    ohm = float(value)
    if math.isnan(ohm) or ohm < 0 or (math.isinf(ohm) and not open_too):
        remedy = "0 or more, inf for an open line" if open_too else "a finite number of ohms, 0 or more"
        raise InputError(f"{name} is {ohm:g} ohm; give {remedy}")
    return ohm


def checked_wires(r_word: float, r_bit: float, r_left: float, r_bottom: float) -> Wires:
    """The resistances, ohms.

    Raises:
        InputError: negative, not a number, or a wire (not a termination) that is infinite.
    """
    return Wires(
        _resistance("r_word", r_word, open_too=False),
        _resistance("r_bit", r_bit, open_too=False),
        _resistance("the termination of the rows", r_left, open_too=True),
        _resistance("the termination of the columns", r_bottom, open_too=True),
    )


class Circuit:
    """One programmed array with its wires, factorised when first asked.

    Args:
        g_s: (m, n) siemens. r_word, r_bit: ohms per segment of the row and the column wires. r_left, r_bottom: ohms of
            the terminations at the left of every row and the bottom of every column, whichever side drives; ``inf``
            leaves the lines open.

    Raises:
        InputError: a conductance or resistance that is negative or not a number, an infinite wire, or lines that no
            path joins to a termination (the first is named).
    """

    def __init__(self, g_s: ArrayLike, r_word: float, r_bit: float, r_left: float = 0.0, r_bottom: float = 0.0) -> None:
        self.g_s = conductances(g_s)
        self.g_s.setflags(write=False)
        self.wires = checked_wires(r_word, r_bit, r_left, r_bottom)
        refuse_floating(self.g_s, self.wires.r_left, self.wires.r_bottom)

    @property
    def shape(self) -> tuple[int, int]:
        """(m, n): rows and columns."""
        m, n = self.g_s.shape
        return m, n

    @property
    def ideal(self) -> bool:
        """No resistance anywhere: the terminals see the devices themselves."""
        return self.wires == Wires(0.0, 0.0, 0.0, 0.0)

    @cached_property
    def effective(self) -> Floats:
        """(m, n) siemens: current of column j, held at 0 V, per volt on row i alone; and of row i per volt on column j.

        Both directions through the same terminations are the same matrix (reciprocity).
        """
        m, n = self.shape
        if self.ideal:
            return self.g_s.copy()
        if math.isinf(self.wires.r_left + self.wires.r_bottom):  # nothing flows through open ends
            return np.zeros((m, n))
        if n <= m:
            return np.asarray(np.einsum("ij,ijk->ik", self.g_s, self.voltages_by_column()))
        return np.asarray(np.einsum("ij,ija->aj", self.g_s, self.voltages_by_row()))

    def voltages_by_row(self) -> Floats:
        """U (m, n, m): voltage w - b across device (i, j) with 1 V on row a alone, all other terminals at 0 V."""
        return self._rows

    def voltages_by_column(self) -> Floats:
        """Z (m, n, n): voltage b - w across device (i, j) with 1 V on column k alone, all other terminals at 0 V."""
        return self._columns

    @cached_property
    def _rows(self) -> Floats:
        w, b = self.node_voltages(np.eye(self.shape[0]), None)
        return w - b

    @cached_property
    def _columns(self) -> Floats:
        w, b = self.node_voltages(None, np.eye(self.shape[1]))
        return b - w

    def forget(self) -> None:
        """Free the factor and the voltages (8 m n (m + n) bytes and more); ``effective`` stays if it was asked for."""
        for name in ("_rows", "_columns", "_system"):
            self.__dict__.pop(name, None)

    def node_voltages(self, rows_v: ArrayLike | None, columns_v: ArrayLike | None) -> tuple[Floats, Floats]:
        """Voltages of all nodes for S settings of the terminals.

        Args:
            rows_v: (m, S) volts behind the terminations of the rows. columns_v: (n, S), of the columns. None: 0 V.

        Returns:
            w (m, n, S) of the row wires and b (m, n, S) of the column wires.

        Raises:
            InputError: the factorisation fails (conductances too far apart for float64).
        """
        m, n = self.shape
        if rows_v is None and columns_v is None:
            raise ValueError("neither rows nor columns are driven")
        rows = None if rows_v is None else np.asarray(rows_v, np.float64).reshape(m, -1)
        columns = None if columns_v is None else np.asarray(columns_v, np.float64).reshape(n, -1)
        if rows is None and columns is not None:
            rows = np.zeros((m, columns.shape[1]))
        if columns is None and rows is not None:
            columns = np.zeros((n, rows.shape[1]))
        assert rows is not None and columns is not None
        return self._system.voltages(rows, columns)

    @cached_property
    def _system(self) -> System:
        return System(self.g_s, self.wires)


def refuse_floating(g_s: Floats, r_left: float, r_bottom: float) -> None:
    """Every line must reach a termination: its own, or one of the other side through a device."""
    rows_open, columns_open = math.isinf(r_left), math.isinf(r_bottom)
    if rows_open and columns_open:
        raise InputError("singular circuit: rows and columns are all open, row 0 floats; terminate one side")
    for name, is_open, line in (("row", rows_open, g_s), ("column", columns_open, g_s.T)):
        floating = ~(line > 0).any(axis=1)
        if is_open and floating.any():
            number = int(np.argmax(floating))
            raise InputError(
                f"singular circuit: {name} {number} floats (its end is open and it has no conducting device); "
                f"terminate the {name}s"
            )


def effective_conductance(
    g_s: ArrayLike, r_word: float, r_bit: float, r_source: float = 0.0, r_sense: float = 0.0
) -> Floats:
    """Rows driven at their left through ``r_source``, columns sensed at their bottom through ``r_sense``, at 0 V.

    Args:
        g_s: (m, n) siemens. r_word, r_bit: ohms per segment. r_source, r_sense: ohms, ``inf`` open.

    Returns:
        (m, n) siemens: ``drive (batch, m) @ result`` are the currents of the columns.

    Raises:
        InputError: as ``Circuit``.
    """
    return Circuit(g_s, r_word, r_bit, r_source, r_sense).effective


def backward_conductance(
    g_s: ArrayLike, r_word: float, r_bit: float, r_source: float = 0.0, r_sense: float = 0.0
) -> Floats:
    """Columns driven at their bottom through ``r_source``, rows sensed at their left through ``r_sense``, at 0 V.

    Args:
        g_s: (m, n) siemens. r_word, r_bit: ohms per segment. r_source, r_sense: ohms, ``inf`` open.

    Returns:
        (m, n) siemens: ``drive (batch, n) @ result.T`` are the currents of the rows. Equal to
        ``effective_conductance`` where ``r_source == r_sense``; else the array is another circuit.

    Raises:
        InputError: as ``Circuit``.
    """
    return Circuit(g_s, r_word, r_bit, r_sense, r_source).effective
