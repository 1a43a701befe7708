"""A run, clock by clock: recorded, and written as arrays, as a wave and as a timeline."""
