"""Measures a model on clean clips under the four reporting conditions: PSNR-Y gain, worst clip, flicker.

    python evaluate.py --models .. --clips /work/shared/data/validation/clips --work /tmp/eval --frames 48 [--smooth]

`restored` is the model alone, `smoothed` adds the smoother. Everything goes through onnxruntime on the CPU.
Flicker: mean absolute difference between the output's and the clean clip's frame-to-frame change, luma.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort

CONDITIONS = ["noise", "lowrate", "night", "mjpeg", "ref"]
DEGRADE = "/work/shared/tools/degrade.sh"


def session(path: Path, threads: int = 2) -> ort.InferenceSession:
    """A CPU session on `threads` threads."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def read(path: Path, frames: int) -> np.ndarray:
    """Decodes to limited-range I420: uint8 [n, 3H/2, W]."""
    probe = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=width,height", "-of", "csv=p=0", str(path)]
    w, h = map(int, subprocess.run(probe, capture_output=True, check=True, text=True).stdout.strip().strip(",").split(","))
    raw = ["ffmpeg", "-v", "error", "-i", str(path), "-frames:v", str(frames), "-f", "rawvideo", "-pix_fmt", "yuv420p", "-color_range", "tv", "-"]
    return np.frombuffer(subprocess.run(raw, capture_output=True, check=True).stdout, np.uint8).reshape(-1, h * 3 // 2, w)


def pad(frame: np.ndarray, alignment: int) -> np.ndarray:
    """Pads an I420 frame at the right and bottom by repeating its edge."""
    h, w = frame.shape[0] * 2 // 3, frame.shape[1]
    dh, dw = -h % alignment, -w % alignment
    if not dh and not dw:
        return frame
    y, uv = np.pad(frame[:h], ((0, dh), (0, dw)), "edge"), frame[h:].reshape(2, h // 2, w // 2)
    uv = np.pad(uv, ((0, 0), (0, dh // 2), (0, dw // 2)), "edge")
    return np.concatenate([y, uv.reshape(-1, w + dw)])


class Restorer:
    """Runs a restorer as the gateway does: the window, the state, the padding; `half`: its half precision graph."""

    def __init__(self, folder: Path, half: bool = False) -> None:
        self.manifest = json.loads((folder / "model.json").read_text())
        self.run = session(folder / (self.manifest["half"] if half else self.manifest)["file"])
        self.float = np.float16 if half else np.float32

    def clip(self, frames: np.ndarray, strength: float = 1.0) -> tuple[list[np.ndarray], float]:
        """Restored I420 frames at padded size, none for the last ones of a window with lookahead, and the median
        milliseconds a run took."""
        past, future, state, out, spent = *self.manifest["window"].values(), None, [], []
        padded = [pad(f, self.manifest["alignment"]) for f in frames]
        for i in range(len(padded) - future):
            feed = {f"frame_{k}": padded[max(0, i - past + k)][None, None] for k in range(past + 1 + future)}
            feed["strength"] = np.array([strength], np.float32)
            for s in self.manifest["state"]:
                rows, width = padded[i].shape
                shape = (1, s["channels"], rows * 2 // 3 // s["divisor"], width // s["divisor"])
                feed[s["input"]] = np.zeros(shape, self.float) if state is None else state
            began = time.perf_counter()
            result = self.run.run(None, feed)
            spent.append(time.perf_counter() - began)
            out.append(result[0][0, 0])
            state = result[1] if len(result) > 1 else None
        return out, float(np.median(spent)) * 1e3


def smooth(run: ort.InferenceSession, frames: list[np.ndarray], strength: float = 1.0) -> tuple[list[np.ndarray], float]:
    """The smoother over a clip, reset at its first frame."""
    out, spent = [], []
    for i, frame in enumerate(frames):
        feed = {"restored": frame[None, None], "previous": (out[-1] if i else frame)[None, None]}
        feed |= {"strength": np.array([strength], np.float32), "reset": np.array([float(i == 0)], np.float32)}
        began = time.perf_counter()
        out.append(run.run(None, feed)[0][0, 0])
        spent.append(time.perf_counter() - began)
    return out, float(np.median(spent)) * 1e3


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Mean over frames of the luma PSNR; identical frames count as 60 dB."""
    mse = ((a.astype(np.float32) - b) ** 2).mean((1, 2))
    return float((10 * np.log10(255**2 / np.maximum(mse, 255**2 / 1e6))).mean())


def flicker(a: np.ndarray, clean: np.ndarray) -> float:
    a, clean = a.astype(np.float32), clean.astype(np.float32)
    return float(np.abs(np.diff(a, axis=0) - np.diff(clean, axis=0)).mean())


def main() -> None:
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--models", type=Path, default=Path(".."))
    a.add_argument("--name", default="lite")
    a.add_argument("--clips", type=Path, required=True)
    a.add_argument("--work", type=Path, required=True, help="where the degraded clips are kept between runs")
    a.add_argument("--frames", type=int, default=48)
    a.add_argument("--smooth", action="store_true")
    a.add_argument("--per-clip", action="store_true")
    a.add_argument("--conditions", nargs="*", default=CONDITIONS)
    o = a.parse_args()
    model = Restorer(o.models / o.name)
    smoother = session(o.models / "smoother" / "weights.onnx") if o.smooth else None
    clips = [c for c in sorted(o.clips.glob("*.mp4")) if "_raw_" not in c.name]
    rows: dict[str, list[tuple]] = {c: [] for c in o.conditions}
    for clip in clips:
        if not (o.work / f"{clip.stem}.mjpeg.mkv").exists():
            subprocess.run(["bash", DEGRADE, str(clip), str(o.work), str(o.frames)], check=True)
        clean = read(o.work / f"{clip.stem}.ref.mkv", o.frames)
        h, w = clean.shape[1] * 2 // 3, clean.shape[2]
        clean = clean[:, :h]
        future = model.manifest["window"]["future"]
        clean = clean[: len(clean) - future]
        for condition in o.conditions:
            degraded = read(o.work / f"{clip.stem}.{condition}.mkv", o.frames)
            restored, ms = model.clip(degraded)
            degraded = degraded[: len(clean)]
            luma = np.stack([f[:h, :w] for f in restored])
            row = [psnr(degraded[:, :h], clean), psnr(luma, clean), flicker(degraded[:, :h], clean), flicker(luma, clean), ms]
            if smoother:
                smoothed, ms_smooth = smooth(smoother, restored)
                luma = np.stack([f[: h, :w] for f in smoothed])
                row += [psnr(luma, clean), flicker(luma, clean), ms_smooth]
            rows[condition].append((*row, w * h))
            if o.per_clip:
                print(clip.stem, condition, " ".join(f"{v:.2f}" for v in row), flush=True)
    print(f"{len(clips)} clips, first {o.frames} frames, {o.name} {model.manifest['version']}")
    print("| condition | input dB | restored dB | gain dB | worst clip | flicker in | flicker restored |" + (" smoothed dB | worst change | flicker smoothed |" if smoother else ""))
    print("|---|---|---|---|---|---|---|" + ("---|---|---|" if smoother else ""))
    for condition, r in rows.items():
        v = np.array(r)
        gain = v[:, 1] - v[:, 0]
        line = [f"{v[:, 0].mean():.2f}", f"{v[:, 1].mean():.2f}", f"{gain.mean():+.2f}", f"{gain.min():+.2f}", f"{v[:, 2].mean():.2f}", f"{v[:, 3].mean():.2f}"]
        if condition == "ref":
            line[0] = line[2] = line[3] = "-"
            line[3] = f"{v[:, 1].min():.2f} dB"
        if smoother:
            line += [f"{v[:, 5].mean():.2f}", f"{(v[:, 5] - v[:, 1]).min():+.2f}", f"{v[:, 6].mean():.2f}"]
        print(f"| {'clean' if condition == 'ref' else condition} | " + " | ".join(line) + " |")
    allrows = np.array([x for r in rows.values() for x in r])
    at = allrows[allrows[:, -1] == 640 * 360]
    if len(at):
        print(f"640x360, 2 threads: restorer {np.median(at[:, 4]):.1f} ms a frame" + (f", smoother {np.median(at[:, 7]):.1f} ms" if smoother else ""))


if __name__ == "__main__":
    main()
