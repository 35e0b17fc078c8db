"""Benchmarks: `minigrad bench` is the one of speed; here are those of the proof and of pictures."""
