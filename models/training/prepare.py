"""CPU host: sources + seeds -> a pack that travels: the sources as they are, and coded versions as real bitstreams.

    python prepare.py --data /work/shared/data/train --pack ../../.packs/a --seed 1 --megabytes 24
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch

from degrade import optics, sensor_noise
from sequences import SIZE, clean_sequence, i420, planes


def codec(rng: np.random.Generator) -> tuple[str, list[str], bool]:
    """A camera's codec: (name, ffmpeg arguments, does sensor noise come first). MJPEG is made during training."""
    kind = rng.choice(["lowrate", "night", "hevc"], p=[0.36, 0.52, 0.12])
    x264 = ["-c:v", "libx264", "-preset", str(rng.choice(["veryfast", "superfast", "ultrafast"], p=[0.8, 0.1, 0.1])), "-tune", "zerolatency", "-bf", "0", "-g", "50"]
    if kind == "lowrate":
        return "h264", [*x264, "-qp", str(int(rng.triangular(28, 37, 42)))], bool(rng.random() < 0.1)
    if kind == "night":
        return "h264", [*x264, "-crf", str(int(rng.triangular(28, 33.5, 38)))], True
    rate = str(int(rng.triangular(28, 34, 40)))
    return "hevc", ["-c:v", "libx265", "-preset", "ultrafast", "-tune", "zerolatency", "-x265-params", f"crf={rate}:bframes=0:keyint=50:log-level=none:pools=none"], bool(rng.random() < 0.5)


def encode(seed: int, pack: Path) -> dict:
    """Writes the coded version of a seed's sequence; returns its line of the index."""
    frames = clean_sequence(seed, pack)
    rng, gen = np.random.default_rng([seed, 1]), torch.Generator().manual_seed(seed)
    name, arguments, noisy = codec(rng)
    y, uv = (torch.from_numpy(p.astype(np.float32))[None] for p in planes(frames))
    if rng.random() < 0.08:
        y = optics(y, gen)
    if noisy:
        y, uv = sensor_noise(y, uv, gen, 4.0, 17.0)
    file = f"{seed}.{name}.mkv"
    command = ["ffmpeg", "-v", "error", "-y", "-threads", "1", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{SIZE}x{SIZE}", "-r", "25"]
    command += ["-i", "-", *arguments, "-threads", "1", str(pack / "codec" / file)]
    subprocess.run(command, input=i420(y[0].numpy(), uv[0].numpy()).tobytes(), check=True)
    return {"seed": seed, "file": file, "noisy": noisy, "bytes": (pack / "codec" / file).stat().st_size, "arguments": " ".join(arguments)}


def main() -> None:
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--data", type=Path, required=True)
    a.add_argument("--pack", type=Path, required=True)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--megabytes", type=float, default=24, help="coded bytes to stop at")
    a.add_argument("--limit", type=int, default=2000, help="coded sequences to stop at")
    a.add_argument("--workers", type=int, default=2)
    o = a.parse_args()
    for sub in ("clips", "stills", "codec"):
        (o.pack / sub).mkdir(parents=True, exist_ok=True)
        for file in (o.data / sub).glob("*") if sub != "codec" else []:
            shutil.copyfile(file, o.pack / sub / file.name)
    index, total, first = [], 0, o.seed * 1_000_000
    with ProcessPoolExecutor(o.workers) as pool:
        while total < o.megabytes * 1e6 and len(index) < o.limit:
            for line in pool.map(encode, range(first, first + 32), [o.pack] * 32):
                index.append(line)
                total += line["bytes"]
            first += 32
            print(f"{len(index)} sequences, {total / 1e6:.1f} MB", flush=True)
    (o.pack / "index.json").write_text(json.dumps(index))


if __name__ == "__main__":
    main()
