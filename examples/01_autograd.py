"""1. Values, gradients, and programs: tanh by hand and by the engine."""

import numpy as np

import minigrad as mg

# A tensor that requires a gradient; `backward` fills it.
x = mg.tensor([-1.0, 0.0, 2.0], requires_grad=True, name="x")
y = mg.tanh(x)
y.sum().backward()
print("tanh(x)      ", y.numpy())
print("by the engine", x.grad.numpy())

# By hand: d tanh(x)/dx = 1 - tanh(x)^2, the same numbers.
print("by hand      ", 1 - np.tanh(x.numpy()) ** 2)

# A gradient is an ordinary function and can be differentiated again: tanh'' = -2 tanh (1 - tanh^2).
slope = mg.grad(lambda x: mg.tanh(x).sum())
curvature = mg.grad(lambda x: slope(x).sum())
print("second order ", curvature(x).numpy())
print("by hand      ", -2 * np.tanh(x.numpy()) * (1 - np.tanh(x.numpy()) ** 2))


# What a function computes can be recorded as a program: equations with the names of its own variables.
def layer(x, W, b):
    """One layer of a network."""
    inner = x @ W + b
    out = mg.tanh(inner)
    return out


print(mg.trace(layer, mg.randn(5, 3, seed=0), mg.randn(3, 2, seed=1), mg.zeros(2)))
