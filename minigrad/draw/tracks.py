"""The tracks on which the wires of a step run, and the room that the used ones take."""

from __future__ import annotations

from collections.abc import Iterable

from .place import Plan

PITCH, MARGIN = 9.0, 10.0  # between tracks; between a track and a part
EMPTY_X, EMPTY_Y = 14.0, 16.0  # width of a channel without wires
FOOTROOM = 14.0  # between the inputs and the step above them
HEADROOM = 34.0  # between the outputs and the step below them: its upper edge, and its label


class Tracks:
    """Columns and rows as tracks: gaps of `n` tracks each, ports within a column, one track in a row."""

    def __init__(self, plan: Plan, boxes: dict[str, tuple[float, float]], n: int) -> None:
        self.plan, self.boxes, self.n = plan, boxes, n
        self._columns()
        self._rows()

    def _columns(self) -> None:
        """Tracks from left to right: (kind, column, offset); kinds edge, gap, port."""
        self.xt: list[tuple[str, int, float]] = [("edge", -1, 0.0)]
        self.half: list[float] = []
        self.port: list[list[int]] = []
        for c, column in enumerate(self.plan.columns):
            self.xt += [("gap", c, 0.0)] * self.n
            self.half.append(max([self.boxes[key][0] / 2 for key in column.values()], default=0.0))
            n = max(0, int((self.half[-1] - 8) // PITCH)) if self.half[-1] > 20 else 0
            offsets = [PITCH * i for i in range(-n, n + 1)]
            self.port.append(list(range(len(self.xt), len(self.xt) + len(offsets))))
            self.xt += [("port", c, o) for o in offsets]
        self.xt += [("gap", len(self.plan.columns), 0.0)] * self.n + [("edge", len(self.plan.columns), 0.0)]

    def _rows(self) -> None:
        """Tracks from below: (kind, row); row tracks carry parts and state lines."""
        self.yt: list[tuple[str, int]] = [("edge", -1)]
        self.tall = [0.0] * self.plan.n_rows
        for key, (_, r) in self.plan.where().items():
            self.tall[r] = max(self.tall[r], self.boxes[key][1])
        self.row_track = []
        for r in range(self.plan.n_rows):
            self.yt += [("gap", r)] * self.n
            self.row_track.append(len(self.yt))
            self.yt.append(("row", r))
        self.yt += [("gap", self.plan.n_rows)] * self.n

    def xs(self, used: Iterable[int]) -> list[float]:
        """Coordinate of each column track; unused ones take no room."""
        out, x, k = [0.0] * len(self.xt), 0.0, 0
        while k < len(self.xt):
            kind, c, _ = self.xt[k]
            if kind == "gap":
                group = list(range(k, k + self.n))
                x = self._spread(out, group, set(used), x, EMPTY_X)
                k += self.n
            elif kind == "port":
                x += self.half[c]
                for i in self.port[c]:
                    out[i] = x + self.xt[i][2]
                x += self.half[c]
                k += len(self.port[c])
            else:
                out[k] = x
                k += 1
        return out

    def ys(self, used: Iterable[int], lane: float, apart: float) -> list[float]:
        """Coordinate of each row track; lane: room beside a state line; apart: of two state lines."""
        out, y, k = [0.0] * len(self.yt), 0.0, 1
        lines = {self.plan.row[f"s{i}"]: high for i, high in enumerate(self.plan.highway)}
        last_line = None
        while k < len(self.yt):
            kind, r = self.yt[k]
            if kind == "gap":
                if lines.get(r) is False or lines.get(r - 1) is True:
                    y += lane
                if r == 1 and "x0" in self.plan.row:
                    y += FOOTROOM
                y = self._spread(out, list(range(k, k + self.n)), set(used), y, EMPTY_Y)
                k += self.n
                if r == self.plan.n_rows - 1 and "y0" in self.plan.row:
                    y += HEADROOM
                continue
            y += self.tall[r] / 2
            if r in lines:
                if last_line is not None:
                    y = max(y, last_line + apart)
                last_line = y
            out[k] = y
            y += self.tall[r] / 2
            k += 1
        return out

    def _spread(
        self, out: list[float], group: list[int], used: set[int], start: float, empty: float
    ) -> float:
        """Place the used tracks of a channel; the coordinate where it ends."""
        mine = [i for i in group if i in used]
        for n, i in enumerate(mine):
            out[i] = start + MARGIN + n * PITCH
        end = start + (2 * MARGIN + (len(mine) - 1) * PITCH if mine else empty)
        for i in group:
            if i not in used:
                out[i] = end
        return end
