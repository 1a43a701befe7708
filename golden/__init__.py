"""The float64 truth: algorithm, learning, metrics. Imports nothing of ours above it."""
