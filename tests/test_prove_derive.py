"""derive: what is printed is run again, line by line, and gives the engine's Jacobians and gradients."""

import re
import shutil
import subprocess

import numpy as np
import own_cells
import pytest
from derived_run import (
    ALL,
    WRITTEN,
    Run,
    T,
    deep,
    diagonal,
    greek,
    normalised,
    own_output,
    peephole,
    scaled,
    twice,
    written_out,
)
from numpy.testing import assert_allclose

from minigrad.cells import CELLS, affine, lstm, rnn
from minigrad.engine.core import leaf, recording
from minigrad.engine.grad import sweep
from minigrad.prove import check_specification, derive
from minigrad.prove.derive.rows import rows


@pytest.mark.parametrize("c", ALL)
def test_the_printed_equations_are_the_cell(c):
    run = Run(c)
    run.forward()
    run.engine()
    for t in range(T + 1):
        for s, v in zip(c.states, run.unrolled.states[t], strict=True):
            assert_allclose(run.env[s][t], v.value, atol=1e-12)


@pytest.mark.parametrize("c", ALL)
def test_the_printed_jacobians_are_the_engines(c):
    run = Run(c)
    run.forward()
    run.engine()
    for t in range(1, T + 1):
        old = [leaf(v.value, True) for v in run.unrolled.states[t - 1]]
        with recording("grad"):
            new, _ = c.advance(
                old, [leaf(x[t - 1]) for x in run.xs.values()], {k: leaf(v) for k, v in run.params.items()}
            )
        for o, y in zip(c.states, new, strict=True):
            rows = [sweep([y], [leaf(u.reshape(y.shape))], old, graph=False) for u in np.eye(y.value.size)]
            for i, s in enumerate(c.states):
                true = np.stack(
                    [np.zeros(old[i].value.size) if r[i] is None else r[i].value.ravel() for r in rows]
                )
                printed = run.env[f"J_{o}_{s}"][t]
                assert_allclose(printed * np.ones_like(true), true, atol=1e-12)


@pytest.mark.parametrize("c", ALL)
def test_the_printed_gradients_are_the_engines(c):
    run = Run(c)
    run.forward()
    found, true = run.backward(), run.engine()
    for k, v in true.items():
        got = np.asarray(found[k])
        assert got.size in (v.size, 1)
        assert_allclose(got.reshape(v.shape) if got.size == v.size else got, v, atol=1e-12)


# ---- LaTeX -------------------------------------------------------------------------------------
MACROS = set(
    "documentclass usepackage allowdisplaybreaks section subsection paragraph texttt textasciitilde ensuremath "
    "frac partial sum cdots left right bigl bigr odot top delta tilde hat sigma tau beta alpha tanh mathrm "
    "mathit mathbf text quad par begin end operatorname textstyle exp sqrt max log cases ge sin cos min"
    .split()
)  # fmt: skip
CASES = r"\\begin\{cases\}.*?\\end\{cases\}"


class Strict:
    """A parser of formulas: known macros only, brackets that match, at most one index and one exponent."""

    TOKEN = re.compile(r"\\(?:begin|end)\{[a-z*]+\}|\\(?:left|right)\\?.|\\[A-Za-z]+|\\.|\s+|.", re.DOTALL)

    def __init__(self, tex):
        self.tokens = [t for t in self.TOKEN.findall(tex) if not t.isspace()]
        self.until("")

    def until(self, end):
        scripts = []
        while self.tokens and not self.tokens[0].startswith(end or "\0"):
            token = self.tokens.pop(0)
            scripts = [*scripts, token] if token in ("_", "^") else []
            assert len(set(scripts)) == len(scripts), f"double {token} before {''.join(self.tokens[:20])}"
            if scripts:
                assert self.tokens[0] not in ("}", "&", r"\\")
                self.item(self.tokens.pop(0))
            else:
                self.item(token)
        assert bool(end) == bool(self.tokens), f"{end} is missing"
        return self.tokens.pop(0) if end else ""

    def item(self, token):
        assert token not in ("}", "$", "#", "%")
        if token == "{":
            self.until("}")
        elif token.startswith(r"\left"):
            self.until(r"\right")
        elif token.startswith(r"\begin"):
            assert self.until(r"\end") == token.replace("begin", "end")
        elif token[:2] != r"\\" and token[1:].isalpha():
            assert token[1:] in MACROS, token
        else:
            assert token.isascii()
        for _ in range({r"\frac": 2, r"\mathit": 1, r"\operatorname": 1, r"\tilde": 1}.get(token, 0)):
            assert self.tokens.pop(0) == "{"
            self.until("}")


@pytest.mark.parametrize("wrong", ["a_1_2", "{a", "a}", r"\left(a", r"\frac{a}b", r"\nosuch", "a$", "a_{}^2^3"])
def test_the_strict_parser_refuses(wrong):
    with pytest.raises(AssertionError):
        Strict(wrong)


@pytest.mark.parametrize("c", WRITTEN)
def test_the_latex_is_well_formed(c):
    tex = derive(c).latex()
    formulas = re.findall(r"\\begin\{align\*\}(.*?)\\end\{align\*\}", tex, re.S)
    assert len(formulas) == 4
    for row in (row for f in formulas for row in re.sub(CASES, "", f, flags=re.S).split(r"\\")):
        assert row.count("&") == 1
        assert row.count(r"\left") == row.count(r"\right")
    text = re.sub(r"\\begin\{align\*\}.*?\\end\{align\*\}", "", tex, flags=re.S).replace(r"\$", "")
    for formula in [*formulas, *re.findall(r"\$([^$]+)\$", text)]:
        Strict(re.sub(r"\\text\{[^{}]*\}", "x", formula))
    words = re.sub(r"\$[^$]+\$", "", text)
    assert not set("_^$&#") & set(re.sub(r"\\[_&#]", "", words))
    assert set(re.findall(r"\\([A-Za-z]+)", words)) <= MACROS
    assert words.count("{") == words.count("}")


@pytest.mark.parametrize("c", WRITTEN)
def test_the_rows_of_a_long_formula_are_that_formula(c):
    def plain(tex):
        for mark in (r"\,", r"\quad", "&", "{}", r"\left", r"\right", r"\bigl", r"\bigr", r"\\", " "):
            tex = tex.replace(mark, "")
        return tex

    derived = derive(c)
    for _, _, body in derived.sections:
        for x in body:
            if "cases" not in x.right.tex:
                assert plain("".join(rows(x.left.tex, x.right.tex, 200))) == plain(f"{x.left.tex}={x.right.tex}")


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex here: the parser above stands in")
@pytest.mark.parametrize("part", range(2))
def test_latex_sets_every_derivation_within_its_margins(tmp_path, part):
    heads, bodies = zip(
        *(derive(p.values[0]).latex().split(r"\begin{document}") for p in WRITTEN[part::2]), strict=True
    )
    text = r"\clearpage".join(b.replace(r"\end{document}", "") for b in bodies)
    (tmp_path / "all.tex").write_text(
        rf"{heads[0]}\begin{{document}}{text}\end{{document}}", encoding="utf-8"
    )
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"],
        cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    assert re.findall(r"Overfull .*", done.stdout) == []
    assert (tmp_path / "all.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("c", WRITTEN)
def test_the_markdown_is_formulas_between_dollars(c):
    text = re.sub(r"\\[$`<>|~*_#{}\[\]\\]", "", derive(c).markdown().replace("\n$$\n", "\n$$$\n"))
    displayed = re.findall(r"^\$\$\$$(.*?)^\$\$\$$", text, re.S | re.M)
    assert len(displayed) == 4
    words = re.sub(r"^\$\$\$$.*?^\$\$\$$", "", text, flags=re.S | re.M)
    inline = re.findall(r"\$([^$\n]+)\$", words)
    for formula in [*displayed, *inline]:
        assert "align*" not in formula
        assert formula.count("{") == formula.count("}")
    left = re.sub(r"\$[^$\n]+\$", "", words)
    assert not set("$\\_<>") & set(re.sub("`[^`]*`", "", left))


def from_latex(tex, names):
    """A formula of the derivation as Python, read from its LaTeX alone; names: of the variables in both."""
    for name in sorted(names, key=len, reverse=True):
        tex = re.sub(rf"(?<![A-Za-z\\]){re.escape(name)}(?![A-Za-z])", f"<{list(names).index(name)}>", tex)
    while r"\frac" in tex:
        tex = re.sub(r"\\frac\{((?:[^{}]|\{[^{}]*\})*)\}\{((?:[^{}]|\{[^{}]*\})*)\}", r"((\1)/(\2))", tex)
    for a, b in (
        (r"\left[", "("), (r"\right]", ")"), (r"\left", ""), (r"\right", ""), (r"^{\odot 2}", "**2"),
        (r"^{\top}", ".T"), (r"\odot", "*"), (r"\sigma", "sigmoid"), (r"\tanh", "tanh"),
        (r"\operatorname{relu}", "relu"), ("[", "("), ("]", ")"), (r"\sqrt{", "sqrt({"),
    ):  # fmt: skip
        tex = tex.replace(a, b)
    tex = re.sub(r"(\d)\\,", r"\1*", tex).replace(r"\,", "@")
    assert "\\" not in tex
    return re.sub(r"<(\d+)>", lambda m: list(names.values())[int(m[1])], tex)


def latex_lines(derived):
    """The same lines as `code_lines`, from the LaTeX; what the names stand for comes from the left sides."""
    lines = [x for _, _, body in derived.sections for x in body]
    cell = derived.cell
    names = {x.left.tex: x.left.code for x in lines if not x.left.code.startswith("dL/")}
    for n in cell.states + cell.inputs:
        plain = re.sub("_tild[ae]", "", n)
        names |= {f"{plain}_{{t}}": f"{n}[t]", f"{plain}_{{t-1}}": f"{n}[t-1]"}
    for p in cell.params:
        base, _, rest = p.partition("_")
        names[f"{base}_{{{rest}}}" if rest else base] = p
    for s in (*cell.states, *derived.outputs):
        names |= {rf"\delta^{{{s}}}_{{t}}": f"delta_{s}[t]", rf"g^{{{s}}}_{{t-1}}": f"g_{s}[t-1]"}
    words = (r"\delta", r"\tilde", "{", "_", "^", "[")
    names = {k: v for k, v in names.items() if any(w in k for w in words) or k in cell.params}
    found = {}
    for k, (_, _, body) in enumerate(derived.sections, start=1):
        for x in body:
            found.setdefault(k, []).append((x.left.code, summation(x.right.tex, names)))
    return found


def summation(tex, names):
    head = r"\sum_{t=1}^{T} "
    if not tex.startswith(head):
        return from_latex(tex, names)
    return f"sum({from_latex(tex.removeprefix(head), names)} for t in steps)"


READ_BACK = [rnn, CELLS["rnn_words"], lstm, CELLS["gru"], peephole, twice, scaled, own_output, rnn.then(affine)]


@pytest.mark.parametrize("c", READ_BACK, ids=lambda c: c.name)
def test_the_latex_read_back_gives_the_engines_gradients(c):
    run = Run(c, latex_lines)
    run.forward()
    found, true = run.backward(), run.engine()
    for k, v in true.items():
        assert_allclose(np.asarray(found[k]).reshape(v.shape), v, atol=1e-12)


PROVED_BACK = [
    *(CELLS[n] for n in ("rnn", "rnn_words", "lstm", "lstm_concat", "gru", "gru_concat")),
    diagonal, peephole, written_out, own_output, deep, rnn.then(affine), own_cells.OWN["diagonal_rnn"],
]  # fmt: skip


@pytest.mark.parametrize("c", PROVED_BACK, ids=lambda c: c.name)
def test_the_printed_equations_are_proved_to_be_the_cell_for_every_size(c):
    equations = derive(c).equations
    found = check_specification(c, "\n".join(f"{x.left.tex} = {x.right.tex}" for x in equations))
    assert found.verdict == "proved", str(found)
    assert [e.verdict for e in found.equations] == ["proved"] * len(equations)


def test_the_parts_of_a_joined_matrix_are_marked():
    tex = derive(CELLS["lstm_concat"]).latex()
    assert r"W_{f,[h]}^{\top}" in tex
    assert "W_f[0:n].T" in derive(CELLS["lstm_concat"]).text()
    assert r"W_{[r_{t} \odot h_{t-1}]}^{\top}" in derive(CELLS["gru_concat"]).latex()


# ---- what it says ------------------------------------------------------------------------------
def test_the_text_is_as_a_person_would_write_it():
    text = derive(rnn).text()
    assert "h[t] = tanh(i[t] @ W + h[t-1] @ U + b)" in text
    assert "J_h_h[t] = D(1 - h[t]**2) @ U.T    # dh[t]/dh[t-1]" in text
    assert "dL/dU  = sum(h[t-1].T @ a_h[t] for t in steps)" in text
    assert "(J_t J_{t-1} ... J_{i+1}) P_i" in " ".join(text.split())
    assert str(derive(rnn)) == text


def test_products_of_the_two_kinds_are_told_apart():
    assert "(R[t] * H[t-1]) @ W_hh" in derive(CELLS["gru"]).text()
    assert r"\left(R_{t} \odot H_{t-1}\right)\,W_{hh}" in derive(CELLS["gru"]).latex()
    assert "tanh(u * (h[t-1] @ U) + (h[t-1] * u) @ U - x[t] @ W)" in derive(scaled).text()


def test_the_jacobian_of_an_lstm_is_factored_by_gate():
    tex = derive(lstm).latex()
    assert r"\frac{\partial C_{t}}{\partial C_{t-1}} &= D\left[F_{t}\right]" in tex
    start = tex.index(r"\frac{\partial H_{t}}{\partial H_{t-1}}")
    first, second, _, fourth, fifth = tex[start:].splitlines()[:5]
    assert first.endswith(r"&= D\left[O_{t}\right]\,D\left[1 - \tanh(C_{t})^{\odot 2}\right] \\")
    assert second.startswith(r"  &\quad \quad \bigl(D\left[I_{t}\right]\,D\left[1 - \tilde{C}_{t}^{\odot 2}\right]")
    assert fourth.endswith(r"W_{hi}^{\top}\bigr) \\")
    assert fifth.startswith(r"  &\quad {}+ D\left[\tanh(C_{t})\right]")


def test_the_gates_of_a_gru_are_taken_together():
    assert "D(H[t-1] - H_tilda[t]) @ D(Z[t] * (1 - Z[t])) @ W_hz.T" in derive(CELLS["gru"]).text()


def test_names_in_other_letters():
    tex = derive(greek).latex()
    assert r"\tilde{h}_{t} &= \tanh(x_{t}\,W_{\sigma} + h_{t-1}\,U)" in tex
    assert r"\text{grün}_{t} &= \beta \odot \tilde{h}_{t}" in tex
    assert r"\ensuremath{\sigma}(Wx), [U+2082], 100 \% of `\$x\_t\$`" in tex
    assert r"σ(Wx), ₂, 100 % of \`\$x\_t\$\`; \<b\>and\</b\>" in derive(greek).markdown()


def test_notebooks_get_markdown():
    found = derive(rnn)
    assert found._repr_markdown_() == found.markdown()
    assert not hasattr(found, "_repr_latex_")  # a document is not what MathJax sets
    assert found.markdown().count("$$") == 8


def test_a_variable_named_as_a_size_is_told_apart():
    text = derive(CELLS["torch_gru"]).text()
    assert "weight_hh[2*n:3*n]" in text
    assert " n[t]" not in text


def test_constants_made_from_sizes_are_written_as_sizes():
    assert "axis=(-1,), keepdims=True) / n" in derive(normalised).text()


def test_what_is_no_cell_is_an_error():
    with pytest.raises(TypeError, match=r"derive: 3 is a int, not a cell; decorate the function with @cell"):
        derive(3)
