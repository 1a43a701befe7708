"""Striate: convolutional sparse coding from a floating-point model to gates."""
