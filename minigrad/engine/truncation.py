"""What truncated backpropagation through time drops."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Truncation:
    """What `scan(..., truncate=k)` drops from the gradient over T steps.

    In S_t = sum_i (J_t ... J_{i+1}) P_i + (J_t ... J_1) S_0, every term whose product crosses a cut is
    dropped: the state entering step t = k+1, 2k+1, ... (counted from 1) is treated as a constant.
    Raises ValueError if k is not a number of steps of at least 1.
    """

    T: int
    k: int

    def __post_init__(self) -> None:
        if not hasattr(self.k, "__index__") or isinstance(self.k, bool) or self.k < 1:
            raise ValueError(f"scan: truncate={self.k!r}; pass a number of steps of at least 1, or None")

    @property
    def cuts(self) -> list[int]:
        """Steps (from 1) whose incoming state passes no gradient back."""
        return list(range(self.k + 1, self.T + 1, self.k))

    def keeps(self, t: int, i: int) -> bool:
        """Whether the term with parameters used at step i and state read at step t is kept; i = 0 is s_0's."""
        return (t - 1) // self.k == max(i - 1, 0) // self.k

    @property
    def dropped(self) -> int:
        """Number of the T(T+1)/2 terms that are dropped."""
        full, rest = divmod(self.T, self.k)
        kept = full * self.k * (self.k + 1) // 2 + rest * (rest + 1) // 2
        return self.T * (self.T + 1) // 2 - kept

    def __str__(self) -> str:
        start = f"truncate={self.k} over T={self.T} steps"
        if not self.cuts:
            return f"{start}: nothing is dropped"
        where = ", ".join(map(str, self.cuts[:6])) + (", ..." if len(self.cuts) > 6 else "")
        return (
            f"{start}: the state entering step {where} passes no gradient back; {self.dropped} of the "
            f"{self.T * (self.T + 1) // 2} terms (J_t ... J_{{i+1}}) P_i are dropped"
        )
