"""HGQ2's attention layers and layers that a rule describes: against their definition, written down once more."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from gatewright.cli.main import main
from gatewright.errors import ModelError
from gatewright.export import check_graph_export, export_graph
from gatewright.fixedpoint import Fixed
from gatewright.graph import evaluate, load_graph
from gatewright.importers.keras import load_keras
from gatewright.importers.keras.rules import Rule
from tests.importers.keras_files import layer, sequential, singles, write_h5, write_v3
from tests.importers.test_hgq import conf

STEPS, FEATURES, HEADS, SIZE, DEPTH, FEW, OUT = 3, 4, 2, 4, 3, 2, 5
VALUE, WEIGHT = conf("kif", "datalane", "SAT"), conf("kbi", "weight", "SAT")
TABLE = conf("kbi", "table", "SAT", "RND_CONV")
QUANTIZERS = {
    **{f"qkvo_{key}_conf": VALUE for key in ("iq", "oq")},
    **{f"qkvo_{key}_conf": WEIGHT for key in ("kq", "bq")},
    **{f"softmax_{key}_conf": VALUE for key in ("iq", "oq", "exp_iq", "inv_iq")},
    **{f"softmax_{key}_conf": TABLE for key in ("exp_oq", "inv_oq")},
}


def model(kind="QLinformerAttention", **more):
    start = {"class_name": "InputLayer", "config": {"batch_shape": [None, STEPS, FEATURES], "name": "x"}}
    config = {
        "name": "mix",
        "num_heads": HEADS,
        "key_dim": SIZE,
        "value_dim": DEPTH,
        "output_shape": [OUT],
        "attention_axes": [1],
        "use_bias": True,
        "dropout": 0.1,
        "enable_iq": True,
        "enable_oq": False,
        "enable_ebops": False,
        "stable_softmax": True,
        "fuse": "none",
        **QUANTIZERS,
        **({"lin_kv_proj_dim": [FEW]} if kind == "QLinformerAttention" else {}),
        **more,
    }
    made = {"class_name": kind, "module": "hgq.layers", "registered_name": f"hgq>{kind}", "config": config}
    return {"class_name": "Sequential", "config": {"name": "net", "layers": [start, made]}}


class Drawn:
    """Draws quantizers and weights as the file stores them, and computes what the layer's definition says."""

    def __init__(self, *, quantized_scores=False):
        self.rng = np.random.default_rng(5)
        self.arrays: dict[str, list[np.ndarray]] = {}
        self.quantized_scores = quantized_scores

    def quantize(self, group, x, shape, *, rounding=np.floor, i=(0, 3), f=(0, 3), k=1):
        whole, fraction = (self.rng.integers(low, high, shape) for low, high in (i, f))
        signs = np.full(shape, k)
        bits = group.endswith(("kq", "bq")) or k == 0  # kbi, else kif
        stored = [whole + fraction, whole, signs] if bits else [whole, fraction, signs]
        self.arrays[f"{group}/quantizer"] = [part.astype(float) for part in stored]
        code = rounding(np.asarray(x, np.float64) * 2.0**fraction + (0.5 if rounding is np.floor else 0))
        top = 2.0 ** (whole + fraction)
        return np.where(whole + fraction + k > 0, np.clip(code, -k * top, top - 1), 0) * 2.0**-fraction

    def dense(self, group, x, equation, shape, bias=None, *, after=True):
        x = self.quantize(f"{group}/iq", x, (1, *x.shape[1:]))
        kernel, stored = singles(len(self.arrays), *shape), []
        y = np.einsum(equation, x, self.quantize(f"{group}/kq", kernel, shape))
        if bias is not None:
            stored = [singles(len(self.arrays), *bias)]
            y = y + self.quantize(f"{group}/bq", stored[0], bias)
        self.arrays[group] = [kernel, *stored]
        return self.quantize(f"{group}/oq", y, (1, *y.shape[1:])) if after else y

    def softmax(self, x):
        group = "_softmax"
        if self.quantized_scores:
            x = self.quantize(f"{group}/iq", x, (1, *x.shape[1:]), i=(2, 4))
        x = self.quantize(f"{group}/exp_table/iq", x.max(axis=-1, keepdims=True) - x, (1,) * 4, i=(3, 4), f=(2, 3))
        e = np.exp(x.astype(np.float32) * np.float32(-(SIZE**-0.5)))
        e = self.quantize(f"{group}/exp_table/oq", e, (1,) * 4, rounding=np.rint, i=(1, 2), f=(5, 6), k=0)
        s = self.quantize(f"{group}/inv_table/iq", e.sum(axis=-1, keepdims=True), (1,) * 4, i=(2, 3), f=(3, 4))
        r = np.float32(1) / (s.astype(np.float32) + np.float32(1e-7))
        r = self.quantize(f"{group}/inv_table/oq", r, (1,) * 4, rounding=np.rint, i=(0, 1), f=(6, 7), k=0)
        return self.quantize(f"{group}/oq", e * r, (1, *x.shape[1:]), i=(0, 1), f=(3, 7))

    def attention(self, x, *, few):
        key = value = x
        if few:
            key = self.dense("_lin_k_proj", x, "abc,bd->adc", (STEPS, FEW), after=False)
            value = self.dense("_lin_v_proj", x, "abc,bd->adc", (STEPS, FEW), after=False)
        project = "abc,cde->abde"
        q = self.dense("query_dense", x, project, (FEATURES, HEADS, SIZE), (HEADS, SIZE))
        k = self.dense("key_dense", key, project, (FEATURES, HEADS, SIZE))
        v = self.dense("value_dense", value, project, (FEATURES, HEADS, DEPTH), (HEADS, DEPTH))
        mixed = np.einsum("acbe,aecd->abcd", self.softmax(np.einsum("aecd,abcd->acbe", k, q)), v)
        return self.dense("output_dense", mixed, "abcd,cde->abe", (HEADS, DEPTH, OUT), (OUT,), after=False)


@pytest.mark.parametrize("kind", ["QLinformerAttention", "QMultiHeadAttention"])
def test_attention_is_its_definition(tmp_path, kind):
    """Softmax by tables included; the program is equal at every node."""
    drawn, x = Drawn(), singles(9, 60, STEPS, FEATURES) * 2
    want = drawn.attention(x, few=kind == "QLinformerAttention")
    group = "q_linformer_attention" if kind == "QLinformerAttention" else "q_multi_head_attention"
    arrays = {f"{group}/{key}": value for key, value in drawn.arrays.items()}
    graph = load_keras(write_v3(tmp_path / "a.keras", model(kind), arrays, {}))
    assert np.array_equal(evaluate(graph, x), want)
    assert len(np.unique(want)) > 50
    assert check_graph_export(export_graph(graph, name="p", input_format=Fixed.parse("fixed<8,4>")), x) == 60


def test_which_version_quantizes_the_scores(tmp_path):
    """HGQ2 from 0.1.7 on does not load what 0.1.6 trained with: both meanings, and a note; one meaning without it."""
    drawn, x = Drawn(quantized_scores=True), singles(9, 60, STEPS, FEATURES) * 2
    want = drawn.attention(x, few=False)
    arrays = {f"q_multi_head_attention/{key}": value for key, value in drawn.arrays.items()}
    path = write_v3(tmp_path / "a.keras", model("QMultiHeadAttention"), arrays, {})
    old, new = load_keras(path, hgq2="0.1"), load_keras(path)
    assert np.array_equal(evaluate(old, x), want)
    assert not np.array_equal(evaluate(new, x), want)
    assert old.notes == ()
    (note,) = new.notes
    assert note.startswith("mix: the file holds a quantizer of the softmax's input, with which HGQ2 up to 0.1.6 trains")
    assert note.endswith("it is left out, as they compute: load_keras(..., hgq2='0.1') applies it")
    later = Drawn()
    want = later.attention(x, few=False)
    arrays = {f"q_multi_head_attention/{key}": value for key, value in later.arrays.items()}
    path = write_v3(tmp_path / "b.keras", model("QMultiHeadAttention"), arrays, {})
    assert np.array_equal(evaluate(load_keras(path, hgq2="0.1"), x), want)


@pytest.mark.parametrize(
    ("kind", "more", "message"),
    [
        ("QMultiHeadAttention", {"fuse": "qkv"}, r"'mix' \(QMultiHeadAttention\): fuse = 'qkv' is not supported; give"),
        (
            "QMultiHeadAttention",
            {"attention_axes": [2]},
            r"attention_axes = \[2\] is not supported; attend over",
        ),
        ("QMultiHeadAttention", {"output_shape": [3, 2]}, r"output_shape = \[3, 2\] is not supported; give one size"),
        ("QLinformerAttention", {"share_kv_proj": True}, r"share_kv_proj = True is not supported; give key and value"),
        ("QLinformerAttention", {"lin_kv_proj_mode": "dense_t"}, r"lin_kv_proj_mode = 'dense_t' is not supported"),
        ("QMultiHeadAttentionT", {}, r"layer 'mix' \(QMultiHeadAttentionT\) is not supported"),
    ],
)
def test_what_is_no_such_attention_is_refused(tmp_path, kind, more, message):
    with pytest.raises(ModelError, match=message):
        load_keras(write_v3(tmp_path / "a.keras", model(kind, **more), {}, {}))


def network(kind, **settings):
    return sequential(layer(kind, "own", **settings), shape=(STEPS, FEATURES))


def test_a_rule_describes_a_layer(tmp_path):
    """The one that comes with the importer, and one of the caller's."""
    x, near = singles(1, 20, STEPS, FEATURES), (singles(2, 1, 6, STEPS) > 0).astype(np.float32)
    own = {"receiving": True, "node_to_edge": True}
    path = write_h5(tmp_path / "a.h5", network("NodeEdgeProjection", **own), {"own": {"adjacency_matrix": near}})
    assert np.array_equal(evaluate(load_keras(path), x), np.einsum("en,bnc->bec", near[0], x))
    weight = singles(3, FEATURES, 2, STEPS)
    path = write_h5(tmp_path / "b.h5", network("Twist"), {"own": {"w": weight}})
    for rule in (Rule(equation="bnc,cdn->bd", weight="w"), {"equation": "bnc,cdn->bd", "weight": "w"}):
        assert np.array_equal(evaluate(load_keras(path, rules={"Twist": rule}), x), np.einsum("bnc,cdn->bd", x, weight))


def test_the_command_line_takes_rules_from_a_file(tmp_path):
    x, weight = singles(1, 20, STEPS, FEATURES), singles(3, FEATURES, 2, STEPS)
    path = write_h5(tmp_path / "b.h5", network("Twist"), {"own": {"w": weight}})
    rules, saved = tmp_path / "rules.toml", tmp_path / "b.npz"
    rules.write_text('[Twist]\nequation = "bnc,cdn->bd"\nweight = "w"\n')
    done = CliRunner().invoke(main, ["import", str(path), "--rules", str(rules), "--hgq2", "0.1", "--out", str(saved)])
    assert done.exit_code == 0, done.output
    assert np.array_equal(evaluate(load_graph(saved), x), np.einsum("bnc,cdn->bd", x, weight))
    rules.write_text("Twist")
    done = CliRunner().invoke(main, ["import", str(path), "--rules", str(rules)])
    assert done.exit_code == 2
    assert "rules.toml: expected a JSON or TOML file of rules" in done.output
    done = CliRunner().invoke(main, ["import", str(saved), "--hgq2", "0.1"])
    assert "b.npz: hgq2 is for Keras models, and this is none; leave it out" in done.output.replace("\n", " ")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"weight": "w"}, "the rule of layer 'Twist' must have equation and weight, and may have a list ignored, not"),
        ({"equation": "bnc,cn->bc", "weight": "w"}, "its rule 'bnc,cn->bc' does not suit an input of shape"),
        (
            {"equation": "bnc,cd->bnd", "weight": "w"},
            "axis 'c' of its rule 'bnc,cd->bnd' has 4 elements, of",
        ),
    ],
)
def test_a_rule_that_does_not_suit_is_refused(tmp_path, rule, message):
    path = write_h5(tmp_path / "b.h5", network("Twist"), {"own": {"w": singles(3, 3, 2)}})
    with pytest.raises(ModelError, match=message):
        load_keras(path, rules={"Twist": rule})
    with pytest.raises(ModelError, match=r"layer 'own' \(Twist\) is not supported"):
        load_keras(path)
