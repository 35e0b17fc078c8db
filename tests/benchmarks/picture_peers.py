"""The same LSTM drawn by each library: peer(T) makes the graph, and gives what writes it as DOT.

    python -m tests.benchmarks.picture_peers PEER T FOLDER

prints a line of JSON when the graph is made (nodes, edges, seconds) and one when the SVG is there, which
is written to FOLDER with a small PNG. `pictures.py` runs this in a process of its own and may stop it.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .timing import clock

INPUT, HIDDEN = 4, 5
PIXELS = 1100  # of the longer side of a PNG
Source = Callable[[], tuple[str, str, bytes | None]]  # DOT, its engine, and the SVG of who draws by itself


def torch_lstm(T: int) -> tuple[Any, Any]:
    """The LSTM of the book "Dive into Deep Learning", with its names, and an input."""
    import torch

    class Step(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for g in "fico":
                for name, shape in (("W_x", (INPUT, HIDDEN)), ("W_h", (HIDDEN, HIDDEN)), ("b_", (HIDDEN,))):
                    self.register_parameter(name + g, torch.nn.Parameter(0.5 * torch.randn(shape)))

        def forward(self, x: Any, H: Any, C: Any) -> Any:
            p = dict(self.named_parameters())
            f, i, c, o = (x @ p[f"W_x{g}"] + H @ p[f"W_h{g}"] + p[f"b_{g}"] for g in "fico")
            F, I, O = torch.sigmoid(f), torch.sigmoid(i), torch.sigmoid(o)
            C_tilda = torch.tanh(c)
            C = F * C + I * C_tilda
            return O * torch.tanh(C), C

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = Step()

        def forward(self, X: Any) -> Any:
            H = C = torch.zeros(1, HIDDEN)
            for x in X:
                H, C = self.cell(x, H, C)
            return H

    torch.manual_seed(0)
    return Net(), torch.randn(T, 1, INPUT)


def torchviz(T: int) -> Source:
    """The graph of autograd's operations."""
    from torchviz import make_dot

    net, x = torch_lstm(T)
    graph = make_dot((net(x) ** 2).mean(), params=dict(net.named_parameters()))
    return lambda: (graph.source, "dot", None)


def torchview(T: int, roll: bool = False) -> Source:
    """The calls of modules and functions."""
    from torchview import draw_graph

    net, x = torch_lstm(T)
    graph = draw_graph(
        net, input_data=[x], expand_nested=True, hide_module_functions=False, graph_dir="LR", roll=roll
    )
    return lambda: (graph.visual_graph.source, "dot", None)


def torchview_rolled(T: int) -> Source:
    """The same, equal modules in one."""
    return torchview(T, True)


def torchlens(T: int, view: str = "unrolled") -> Source:
    """Every operation, by step or (rolled) each once."""
    import torchlens

    net, x = torch_lstm(T)
    trace = torchlens.trace(net, [x])

    def draw() -> tuple[str, str, bytes | None]:
        options = dict(vis_outpath="torchlens", vis_fileformat="svg", vis_save_only=True, return_graph=True)
        graph = trace.draw(view=view, **options)
        return getattr(graph, "source", graph), "dot", Path("torchlens.svg").read_bytes()

    return draw


def torchlens_rolled(T: int) -> Source:
    """The same, equal operations in one."""
    return torchlens(T, "rolled")


def minigrad(T: int, **options: Any) -> Source:
    """Every step, with values, gradients and each step's share of every parameter's gradient."""
    import minigrad as mg

    picture = mg.draw(mg.cells.lstm, T, values=True, **{"elide": False} | options)
    return lambda: (picture.dot, "neato", picture.svg("dot").encode())


def minigrad_default(T: int) -> Source:
    """As it comes: of more than 40 steps four, and all of them in a heat ribbon."""
    return minigrad(T, elide=None)


PEERS: dict[str, Callable[[int], Source]] = {
    "torchviz": torchviz, "torchview": torchview, "torchview rolled": torchview_rolled,
    "torchlens": torchlens, "torchlens rolled": torchlens_rolled, "minigrad, every step": minigrad,
    "minigrad": minigrad_default,
}  # fmt: skip
NEEDS = {name: name.split()[0].strip(",") for name in PEERS}  # the package


def counted(dot: str) -> tuple[int, int]:
    """Nodes and edges that a DOT text declares: lines that begin with a name and attributes; arrows."""
    lines = [line.strip() for line in dot.splitlines()]
    edges = [line for line in lines if re.match(r'("[^"]*"|[\w.]+)(:\w+)* -> ', line)]
    nodes = {
        m[1] for line in lines if line not in edges
        and (m := re.match(r'("(?:[^"\\]|\\.)*"|[\w.]+) \[', line)) and m[1] not in ("graph", "node", "edge")
    }  # fmt: skip
    return len(nodes), len(edges)


def main(peer: str, T: int, folder: Path) -> None:
    """Draw, and say how long it took."""
    import graphviz

    os.chdir(folder)
    PEERS[peer](2)  # imports, and whatever else is done once
    start = clock()
    source = PEERS[peer](T)
    made = clock()
    dot, engine, svg = source()
    nodes, edges = counted(dot)
    print(json.dumps({"nodes": nodes, "edges": edges, "graph": made - start}), flush=True)
    noop = {"neato_no_op": 2} if engine == "neato" else {}
    if svg is None:
        svg = graphviz.Source(dot, engine=engine).pipe(format="svg", quiet=True)
    name = f"{peer.replace(', ', '-').replace(' ', '-')}-{T}"
    Path(f"{name}.svg").write_bytes(svg)
    print(json.dumps({"svg": clock() - made, "bytes": len(svg)}), flush=True)
    width, height = map(float, re.search(rb'width="([\d.]+)pt" height="([\d.]+)pt"', svg).groups())  # type: ignore[union-attr]
    dpi = min(96.0, (2 if engine == "neato" else 1) * PIXELS * 72 / max(width, height))  # ours are wide
    small = dot.replace("{", f"{{\n  dpi={dpi:.2f};\n", 1)
    png = graphviz.Source(small, engine=engine).pipe(format="png", quiet=True, **noop)
    Path(f"{name}.png").write_bytes(png)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
