"""torch._higher_order_ops.scan: gradients of closed-over parameters without what comes through the carry.

Threads: https://github.com/pytorch/pytorch/issues/184528 ("computes incorrect gradients for closed-over
parameters ... silently training with different parameter gradients") and pull request 184529: the backward of
one step was built with a carry that needs no gradient, so the reverse scan carried zeros. The recurrence of
the report, carry = a * carry + x; the forward is right.
"""

import numpy as np

from minigrad.cells import cell as of_shapes


@of_shapes(carry="n", x="n", a="n")
def cell(carry, /, x, *, a):
    carry = a * carry + x
    return carry


REASONS = {"a": "dcarry carried back from the next step is dropped"}


def backward(carrys_prev, dcarrys, a):
    da = np.zeros_like(a)
    for t in range(len(dcarrys)):
        da += (carrys_prev[t] * dcarrys[t]).sum(axis=0)
    return {"a": da}
