"""The main job: real text in, a trained, proved, drawn and derived cell out, as one folder with a page."""

from .stops import take

__all__ = ["take"]
