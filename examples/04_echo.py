"""4. Training with scan: a recurrent net learns to repeat what it heard; cut its gradient, and it cannot."""

import numpy as np

import minigrad as mg
from minigrad.cells import affine, rnn
from minigrad.nn.optim import Adam

DELAY, T, BATCH, HIDDEN, SYMBOLS = 6, 24, 32, 32, 4
model = rnn.then(affine)  # h_t = tanh(x_t W + h_{t-1} U + b), then logits h_t W_hq + b_q
print(f"{model.name}{model.signature}")


def batch(rng):
    """(one-hot symbols, the symbols to repeat DELAY steps later), time first: (T, BATCH, ...)."""
    heard = rng.integers(0, SYMBOLS, (T, BATCH))
    return mg.one_hot(heard, SYMBOLS), heard[:-DELAY]


def run(params, xs, truncate=None):
    """Logits at the steps at which there is something to repeat."""
    state = model.zero_state(BATCH, n=HIDDEN)
    _, logits = mg.scan(model, state, xs, params, truncate=truncate)
    return logits[DELAY:]


def train(truncate, steps=300):
    """Parameters after some steps of Adam; `truncate` cuts the gradient every so many time steps."""
    rng = np.random.default_rng(0)
    params = model.init(seed=0, n=HIDDEN, d=SYMBOLS, q=SYMBOLS)
    adam = Adam(lr=1e-2)
    gradient = mg.value_and_grad(lambda p, xs, y: mg.cross_entropy(run(p, xs, truncate), y))
    for step in range(1, steps + 1):
        loss, grads = gradient(params, *batch(rng))  # the derivative of scan is BPTT
        params = adam.step(params, grads)
        if step in (1, steps // 2, steps):
            print(f"  step {step:3d}  loss {loss.item():.4f}   (guessing: {np.log(SYMBOLS):.4f})")
    xs, heard = batch(np.random.default_rng(1))
    right = (run(params, xs).numpy().argmax(-1) == heard).mean()
    print(f"  repeats {right:.1%} of new symbols correctly")


print("the whole gradient")
train(truncate=None)
print(mg.Truncation(T, 3))
train(truncate=3)
