"""A checkpoint of qat.py -> a graph of integer convolutions, checked against the network that was trained.

    python export_bytes.py OUT/bytes.pt weights.int8.onnx

The shipped graph from which training began gives everything around the convolutions.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import NodeProto, helper, numpy_helper

from check import scene
from evaluate import session
from export import weights_of
from net import LITE, Net
from qat import LUMA, PARTS, SHIPPED, ZERO, ByteNet, Bytes
from train import Unrolled

CONTRIB = "com.microsoft"
# Tensors of the shipped graph where its convolutions begin and end.
READ, MOVED, GATE, TAIL = "/net/Concat_output_0", "/net/Cast_2_output_0", "/net/Cast_1_output_0", "/net/Cast_3_output_0"


class Writer:
    """Nodes and constants of the integer part. Bytes are kept with the channels last, as QLinearConv is fastest."""

    def __init__(self, net: ByteNet) -> None:
        self.net, self.steps = net, net.steps()
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: np.ndarray | list | torch.Tensor, kind: type) -> str:
        if isinstance(value, torch.Tensor):
            value = value.detach().cpu().numpy()
        self.constants[name] = numpy_helper.from_array(np.asarray(value).astype(kind), name)
        return name

    def node(self, operator: str, inputs: list[str], output: str, domain: str = "", **attributes) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, domain=domain, **attributes))
        return output

    def zero(self, value: int) -> str:
        return self.constant(f"zero_{value}", value, np.uint8)

    def one(self) -> str:
        return self.constant("one", 1, np.float32)

    def quantize(self, x: str, kind: Bytes, output: str) -> str:
        zeros = self.constant(f"{output}.zeros", np.full(len(kind.step), kind.zero), np.uint8)
        first = self.node("QuantizeLinear", [x, self.constant(f"{output}.step", kind.step, np.float32), zeros], f"{output}_first", axis=1)
        return self.node("Transpose", [first], output, perm=[0, 2, 3, 1])

    def dequantize(self, x: str, step: torch.Tensor, output: str) -> None:
        first = self.node("Transpose", [x], f"{x}_first", perm=[0, 3, 1, 2])
        zeros = self.constant(f"{x}.zeros", np.full(len(step), 128), np.uint8)
        self.node("DequantizeLinear", [first, self.constant(f"{x}.step", step, np.float32), zeros], output, axis=1)

    def conv(self, name: str, x: str, zero: int, step: torch.Tensor, to_zero: int, output: str) -> str:
        weight, bias, scale = getattr(self.net, name).whole(self.steps[name])
        weights = [
            self.constant(f"{name}.weight", weight, np.int8),
            self.constant(f"{name}.scale", scale / step, np.float32),
            self.constant(f"{name}.zeros", np.zeros(len(scale)), np.int8),
        ]
        inputs = [x, self.one(), self.zero(zero), *weights, self.one(), self.zero(to_zero), self.constant(f"{name}.bias", bias, np.int32)]
        side = weight.shape[2]
        return self.node("QLinearConv", inputs, output, CONTRIB, channels_last=1, kernel_shape=[side, side], pads=[side // 2] * 4)

    def write(self) -> None:
        n = self.net
        headed = self.conv("head", self.quantize(READ, n.seen, "seen"), 128, n.headed.step, 0, "headed")
        before = self.conv("before_a", headed, 0, n.before.step, 0, "before")
        added = self.conv("before_b", before, 0, n.added.step * n.headed.step, 128, "added")
        factors = [self.constant(f"{name}.factor", part.step[0], np.float32) for name, part in (("added", n.added), ("sum", n.sum))]
        f = self.node("QLinearAdd", [headed, self.one(), self.zero(0), added, factors[0], self.zero(128), factors[1], self.zero(ZERO)], "f", CONTRIB)
        self.dequantize(self.conv("gate", f, ZERO, n.gated.step, 128, "gated"), n.gated.step, GATE)
        parts = self.luma_parts()
        picture = self.quantize(MOVED, n.picture, "picture")
        reads = self.node("Concat", [f, picture, parts], "mid_reads", axis=3)
        middle = self.conv("mid", reads, ZERO, n.middle.step, 0, "middle")
        after = self.conv("after_a", middle, 0, n.after.step, 0, "after")
        reads = self.node("Concat", [middle, after], "tail_reads", axis=3)
        self.dequantize(self.conv("tail", reads, 0, n.changed.step, 128, "changed"), n.changed.step * n.reach, TAIL)

    def luma_parts(self) -> str:
        """What whole steps leave of the luma coefficients."""
        ends = [self.constant(name, [value], np.int64) for name, value in (("luma.begin", 0), ("luma.end", LUMA), ("luma.axis", 1))]
        luma = self.node("Slice", [MOVED, *ends], "luma")
        steps = self.node("Div", [luma, self.constant("luma.step", self.net.picture.step[:LUMA].reshape(1, -1, 1, 1), np.float32)], "luma_steps")
        rest = self.node("Sub", [steps, self.node("Round", [steps], "luma_whole")], "luma_rest")
        first = self.node("QuantizeLinear", [rest, self.constant("luma.part", 1 / PARTS, np.float32), self.zero(ZERO)], "luma_parts_first")
        return self.node("Transpose", [first], "luma_parts", perm=[0, 2, 3, 1])


@torch.no_grad()
def export(net: ByteNet, shipped: Path, path: Path) -> None:
    """Writes the shipped graph with the integer part of `net` in place of its convolutions."""
    model = onnx.load(shipped)
    writer = Writer(net)
    writer.write()
    made = {output: node for node in model.graph.node for output in node.output} | {node.output[0]: node for node in writer.nodes}
    ordered: dict[int, NodeProto] = {}

    def add(name: str) -> None:
        node = made.get(name)
        if node is None or id(node) in ordered:
            return
        for read in node.input:
            add(read)
        ordered[id(node)] = node

    for output in model.graph.output:
        add(output.name)
    used = {name for node in ordered.values() for name in node.input}
    constants = [i for i in model.graph.initializer if i.name in used] + list(writer.constants.values())
    graph = helper.make_graph(list(ordered.values()), "bytes", list(model.graph.input), list(model.graph.output), constants)
    operators = [helper.make_opsetid("", 17), helper.make_opsetid(CONTRIB, 1)]
    onnx.save(helper.make_model(graph, opset_imports=operators, ir_version=model.ir_version), path)


@torch.no_grad()
def differing(net: ByteNet, path: Path) -> list[float]:
    """Shares of samples in which graph and network differ, frame by frame. Where float sums round differently a byte
    may be another, and the state carries that on: near 0 at first, a few hundredths after some frames."""
    frames = scene(96, 160, 4, 1, 2.0, noise=11.5)
    expected = Unrolled(net)(torch.from_numpy(frames).float()[None])[0].add(0.5).floor().clamp(0, 255).numpy()
    run, state, shares = session(path), np.zeros((1, net.config.state, 24, 40), np.float32), []
    for i, frame in enumerate(frames):
        feed = {"frame_0": frames[max(0, i - 1)][None, None], "frame_1": frame[None, None], "strength": np.ones(1, np.float32), "state_0": state}
        restored, state = run.run(None, feed)
        shares.append(float((restored[0, 0] != expected[i]).mean()))
    return shares


def main() -> None:
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("checkpoint", type=Path)
    a.add_argument("out", type=Path)
    a.add_argument("--shipped", type=Path, default=SHIPPED)
    o = a.parse_args()
    plain = Net(LITE)
    plain.load_state_dict(weights_of(o.shipped, plain))
    net = ByteNet(plain)
    net.load_state_dict(torch.load(o.checkpoint, map_location="cpu", weights_only=True)["ema"])
    export(net, o.shipped, o.out)
    shares = differing(net, o.out)
    print("samples that differ from the network's, frame by frame:", ", ".join(f"{share:.5f}" for share in shares))
    assert shares[0] < 0.001


if __name__ == "__main__":
    main()
