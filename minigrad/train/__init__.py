"""Character models, trained on real text by truncated BPTT, through minigrad's own cells and `scan`.

    training = Training(default_text(), Settings(hidden=128, layers=1))
    for _ in range(300):
        bits = training.step()
    print(training.model.sample(200, prompt="def "))

To read in order: text, model, training; then checkpoint (needs safetensors), chart, and command (the bar, the
files), which only the command line loads. Repeatable for a given seed, to the bit.
"""

from .model import CharModel
from .text import Reader, TextError, default_text, read_text
from .training import Settings, Training

__all__ = ["CharModel", "Reader", "Settings", "TextError", "Training", "default_text", "read_text"]
