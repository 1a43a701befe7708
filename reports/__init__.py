"""Figures, tables, run directories and the one self-contained page. Nothing prints or writes where it was not told."""
