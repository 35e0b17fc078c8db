"""Benchmarks: `python -m tests.benchmarks.speed`."""
