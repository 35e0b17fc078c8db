"""3. A proof that the gradient is right, for every size and length; and a backward pass that is refused."""

import numpy as np

import minigrad as mg
from minigrad import cell, tanh
from minigrad.prove import check_backward


@cell(h="n", x="d", W="d n", U="n n", b="n")
def rnn(h, /, x, *, W, U, b):
    """A plain recurrent net."""
    return tanh(x @ W + h @ U + b)


proof = mg.prove(rnn)
print(proof)


# A backward pass of one step, written by hand in plain numpy as one would for a course. It asks by name
# for what it needs: dh is the gradient that arrives at the new state, h_next.
def backward(x, h, W, U, h_next, dh):
    """Gradients of one step."""
    dz = dh * (1 - h_next**2)
    return {
        "W": x.T @ dz,
        "U": h.T @ dz,
        "b": np.sum(dz, axis=0),
        "x": dz @ W.T,
        "h": dz @ U.T,
    }


print(check_backward(rnn, backward))


# The same with the classical slip: U where its transpose is meant. With a hidden size of 1, or with a
# symmetric U, no numerical check can see it; here the sizes are symbols.
def slipped(x, h, W, U, h_next, dh):
    """Gradients of one step, one of them wrong."""
    return backward(x, h, W, U, h_next, dh) | {"h": dh * (1 - h_next**2) @ U}


verdict = check_backward(rnn, slipped)
print(verdict)
assert verdict.verdict == "refuted"
