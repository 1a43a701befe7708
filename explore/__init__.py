"""Sweeps: many runs in parallel, kept in a store that a later command continues."""
