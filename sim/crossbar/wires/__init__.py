"""Crossbars as circuits, beneath `circuit`: nodal equations, band solvers, read noise in law, curved devices."""
