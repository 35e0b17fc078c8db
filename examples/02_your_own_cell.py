"""2. A cell of your own: its equations, unrolled over time, differentiated and drawn."""

import sys

import minigrad as mg
from minigrad import cell, sigmoid, tanh


# The minimal gated unit (Zhou et al. 2016). Before the / stands the state, after the * stand the
# parameters, between them the input; the decorator says the sizes of each by name.
@cell(h="n", x="d", W_f="d n", U_f="n n", b_f="n", W_h="d n", U_h="n n", b_h="n")
def mgu(h, /, x, *, W_f, U_f, b_f, W_h, U_h, b_h):
    """Minimal gated unit: one gate that forgets and resets."""
    f = sigmoid(x @ W_f + h @ U_f + b_f)
    h_tilde = tanh(x @ W_h + (f * h) @ U_h + b_h)
    h = (1 - f) * h + f * h_tilde
    return h


# The whole graph over T = 4 steps, for a batch of 1 with n = 3 hidden units and d = 2 inputs.
params = mgu.init(seed=0, n=3, d=2)
xs = mg.randn(4, 1, 2, seed=1)
unrolled = mg.unroll(mgu, mgu.zero_state(1, n=3), xs, params)

# Every node knows its step, and the name that the cell's own code gives it.
for node in unrolled.nodes:
    if node.name in ("f", "h_tilde", "h") and node.note:
        print(f"t = {node.note.step}  {node.name:<8} {node.numpy().round(3)}")

# The averaged loss, and its gradient through all four steps: backpropagation through time.
loss = unrolled.loss(mg.mse, [mg.ones(1, 3)] * 4)
loss.backward()
for name, p in params.items():
    print(f"|dL/d{name}| = {abs(p.grad).max().item():.4f}")

picture = mg.draw(unrolled)
picture.save(sys.argv[1] if len(sys.argv) > 1 else "mgu.svg")

# A mistake is found before it does harm: the message names the argument, its shape and the size it breaks.
try:
    mgu(*mgu.zero_state(1, n=3), mg.randn(1, 5), **params)
except mg.ShapeError as error:
    print(error)
