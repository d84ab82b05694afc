"""Compares raw logits and greedy continuations of GGUF files with llama.cpp's, on both runners.

    /tmp/peer/bin/python benches/gguf_logits.py --ours target/debug/fontes MODEL.gguf...

The peer is built as for `llamacpp.py`. Activations are rounded in other blocks on each side, so logits differ by what
quantised arithmetic loses, and a greedy text can part where two tokens are nearly as likely.
"""

import argparse
import json
import pathlib
import subprocess

import numpy as np

TEXT = b"The Federal Council is the highest executive authority of Switzerland. It has seven members, who are elected by the"
GREEDY = 16


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=pathlib.Path)
    parser.add_argument("--ours", required=True, help="the fontes binary")
    arguments = parser.parse_args()

    from llama_cpp import Llama

    for path in arguments.models:
        peer = Llama(str(path), n_ctx=512, n_threads=2, logits_all=True, verbose=False)
        ids = peer.tokenize(TEXT, add_bos=peer.metadata.get("tokenizer.ggml.add_bos_token") != "false")
        peer.eval(ids)
        logits, greedy = peer.scores[: len(ids)].copy(), []
        following = int(logits[-1].argmax())
        for _ in range(GREEDY):
            greedy.append(following)
            peer.eval([following])
            following = int(peer.scores[peer.n_tokens - 1].argmax())
        for runner in ("candle", "cpu"):
            command = [arguments.ours, "models", "probe", str(path), "--ids", ",".join(map(str, ids))]
            command += ["--greedy", str(GREEDY), "--runner", runner, "--json"]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            last = logits[-1][: len(found["last_logits"])]
            rms = float(np.sqrt(((np.array(found["last_logits"]) - last) ** 2).mean()))
            same = sum(int(a) == b for a, b in zip(logits.argmax(-1), found["argmax_per_position"]))
            text = sum(a == b for a, b in zip(greedy, found["greedy"]))
            print(f"{path.name:44} {runner:7} rms {rms:.3f} of {last.std():.2f}   argmax {same} of {len(ids)}   greedy {text} of {GREEDY}", flush=True)


if __name__ == "__main__":
    main()
