"""The limit for bench:gpu: the same networks in PyTorch, float16, channels last, under a CUDA graph, uint8 to uint8.

    python test/bench/gpu_limit.py limit.json

Weights are random: they do not change the time. Prints and writes ms a frame of the graph alone (pictures on the GPU),
with its pictures' copies over page-locked memory, and of a batch of four.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "models/training"))
import net as networks  # noqa: E402

SIZES = {360: 640, 720: 1280, 1080: 1920}


def timed(run, count: int = 100) -> float:
    for _ in range(10):
        run()
    torch.cuda.synchronize()
    times = []
    for _ in range(count):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        run()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return statistics.median(times)


def capture(config, height: int, batch: int):
    width = SIZES[height]
    model = networks.Graph(networks.Net(config), torch.float16).cuda().eval().to(memory_format=torch.channels_last)
    frames = [torch.randint(16, 235, (batch, 1, height * 3 // 2, width), dtype=torch.uint8, device="cuda") for _ in range(config.window)]
    state = torch.zeros(batch, config.state, height // 4, width // 4, dtype=torch.float16, device="cuda").to(memory_format=torch.channels_last)
    inputs = [*frames, torch.ones(1, device="cuda"), *([state] if config.state else [])]
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(5):
            model(*inputs)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = model(*inputs)
        if config.state:
            state.copy_(outputs[1])
    return graph, frames, outputs[0]


@torch.no_grad()
def main() -> None:
    torch.backends.cudnn.benchmark = True
    print(torch.cuda.get_device_name(), torch.__version__, "cudnn", torch.backends.cudnn.version())
    result = {}
    for name in ("lite", "base"):
        config = getattr(networks, name.upper())
        for height in SIZES:
            graph, frames, out = capture(config, height, 1)
            alone = timed(graph.replay)
            host_in, host_out = frames[-1].cpu().pin_memory(), out.cpu().pin_memory()

            def with_copies() -> None:
                frames[-1].copy_(host_in, non_blocking=True)
                graph.replay()
                host_out.copy_(out, non_blocking=True)

            copies = timed(with_copies)
            batched = timed(capture(config, height, 4)[0].replay, 50) / 4
            result[f"{name} {height}"] = {"graph": alone, "copies": copies, "batch4": batched}
            print(f"{name} {height}p: {alone:.3f} ms, with copies {copies:.3f}, in a batch of four {batched:.3f} a frame", flush=True)
    Path(sys.argv[1]).write_text(json.dumps(result))


main()
