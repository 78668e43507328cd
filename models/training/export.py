"""A checkpoint -> models/lite/weights.onnx and model.json.

    python export.py lite.pt ../lite --commit $(git rev-parse --short HEAD)
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import torch

from net import Config, Graph, Lite


def export(net: Lite, path: Path) -> None:
    """Writes the graph with dynamic height and width."""
    c, h, w = net.config, 64, 96
    frames = [f"frame_{i}" for i in range(c.past + 1)]
    inputs = [torch.zeros(1, 1, h * 3 // 2, w, dtype=torch.uint8) for _ in frames] + [torch.ones(1)]
    names, outs = [*frames, "strength"], ["restored"]
    axes = {n: {2: "rows", 3: "width"} for n in [*frames, "restored"]}
    if c.state:
        inputs.append(torch.zeros(1, c.state, h // 4, w // 4))
        names, outs = [*names, "state_0"], [*outs, "next_state_0"]
        axes |= {n: {2: "height_4", 3: "width_4"} for n in ("state_0", "next_state_0")}
    torch.onnx.export(Graph(net).eval(), tuple(inputs), str(path), input_names=names, output_names=outs, dynamic_axes=axes, opset_version=17, dynamo=False)


def main() -> None:
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("checkpoint", type=Path)
    a.add_argument("out", type=Path)
    a.add_argument("--version", default="0.1.0")
    a.add_argument("--date", default="2026-11-23")
    a.add_argument("--commit", default="")
    o = a.parse_args()
    saved = torch.load(o.checkpoint, map_location="cpu", weights_only=True)
    net = Lite(Config(**saved["config"]))
    net.load_state_dict(saved["ema"])
    o.out.mkdir(parents=True, exist_ok=True)
    export(net, o.out / "weights.onnx")
    c = net.config
    manifest = {
        "kind": "restorer",
        "name": "lite",
        "version": o.version,
        "licence": "Apache-2.0",
        "description": "Recurrent denoiser and artefact remover for CPUs: about 11 ms a 640x360 frame on two x86 cores.",
        "file": "weights.onnx",
        "sha256": hashlib.sha256((o.out / "weights.onnx").read_bytes()).hexdigest(),
        "scale": 1,
        "window": {"past": c.past, "future": 0},
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
