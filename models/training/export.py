"""A checkpoint -> models/<name>/weights.onnx and model.json; with --half, weights.fp16.onnx beside it.

    python export.py OUT/base.pt ../base --version 0.1.0 --half --commit $(git rev-parse --short HEAD)
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import torch

from net import BASE, LITE, PACKED, Config, Graph, Net

DESCRIPTIONS = {
    "lite": "Recurrent denoiser and artefact remover for CPUs: about 11 ms a 640x360 frame on two x86 cores.",
    "base": "Recurrent denoiser and artefact remover for GPUs, with one frame of lookahead: 151 GMAC a 1920x1080 frame.",
}


def export(net: Net, path: Path, dtype: torch.dtype = torch.float32) -> dict:
    """Writes the graph with dynamic height and width, its arithmetic, weights and state in `dtype`; returns its line of
    the manifest."""
    c, h, w = net.config, 64, 96
    frames = [f"frame_{i}" for i in range(c.window)]
    inputs = [torch.zeros(1, 1, h * 3 // 2, w, dtype=torch.uint8) for _ in frames] + [torch.ones(1)]
    names, outs = [*frames, "strength"], ["restored"]
    axes = {n: {2: "rows", 3: "width"} for n in [*frames, "restored"]}
    if c.state:
        inputs.append(torch.zeros(1, c.state, h // 4, w // 4, dtype=dtype))
        names, outs = [*names, "state_0"], [*outs, "next_state_0"]
        axes |= {n: {2: "height_4", 3: "width_4"} for n in ("state_0", "next_state_0")}
    torch.onnx.export(Graph(net, dtype).eval(), tuple(inputs), str(path), input_names=names, output_names=outs, dynamic_axes=axes, opset_version=17, dynamo=False)
    return {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def weights_of(path: Path, net: Net) -> dict[str, torch.Tensor]:
    """The state dict of a shipped fp32 graph, for a `net` of the same configuration: training goes on from it."""
    import onnx

    stored = {i.name: torch.from_numpy(onnx.numpy_helper.to_array(i).copy()) for i in onnx.load(path).graph.initializer}
    state = {name: stored[f"net.{name}"] for name in net.state_dict() if name != "reach"}
    reach = net.reach.reshape(-1)  # Graph folds it into the last convolution
    state["tail.weight"][:PACKED] /= reach[:, None, None, None]
    state["tail.bias"][:PACKED] /= reach
    return state | {"reach": net.reach}


def main() -> None:
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("checkpoint", type=Path, help="or lite, base: a network as it is before training, to measure speed with")
    a.add_argument("out", type=Path, help="its last part is the model's name")
    a.add_argument("--version", default="0.1.0")
    a.add_argument("--date", default="2026-11-26")
    a.add_argument("--commit", default="")
    a.add_argument("--half", action="store_true", help="also weights.fp16.onnx")
    o = a.parse_args()
    if str(o.checkpoint) in ("lite", "base"):
        net = Net(LITE if str(o.checkpoint) == "lite" else BASE)
    else:
        saved = torch.load(o.checkpoint, map_location="cpu", weights_only=True)
        net = Net(Config(**saved["config"]))
        net.load_state_dict(saved["ema"])
    o.out.mkdir(parents=True, exist_ok=True)
    c, name = net.config, o.out.resolve().name
    manifest = {
        "kind": "restorer",
        "name": name,
        "version": o.version,
        "licence": "Apache-2.0",
        "description": DESCRIPTIONS.get(name, name),
        **export(net, o.out / "weights.onnx"),
        **({"half": export(net, o.out / "weights.fp16.onnx", torch.float16)} if o.half else {}),
        "scale": 1,
        "window": {"past": c.past, "future": c.future},
        "alignment": 8,
        "color": {"range": "limited", "matrix": "bt709"},
        "state": [{"input": "state_0", "output": "next_state_0", "channels": c.state, "divisor": 4}] if c.state else [],
        "provenance": {
            "training": "models/training/README.md",
            "data": "13 clips and 325 stills whose licences are stated (CC0, Apache-2.0, CC BY-SA and the like), listed in the training README",
            "date": o.date,
            "commit": o.commit,
        },
    }
    (o.out / "model.json").write_text(json.dumps(manifest, indent=2) + "\n")


if __name__ == "__main__":
    main()
