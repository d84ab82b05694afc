"""Perplexity of a GGUF file on the same token ids, here and in llama.cpp.

    cargo build --release -p fontes-model --example perplexity
    /tmp/peer/bin/python benches/perplexity.py MODEL.gguf TEXT... --ours target/release/examples/perplexity

Texts are joined, cut to `--bytes`, tokenised by llama.cpp and read in windows of `--window` tokens, each from an empty cache;
every token but a window's first counts. The peer is built as for `llamacpp.py`.
"""

import argparse
import json
import math
import pathlib
import subprocess
import tempfile

import numpy as np

from llamacpp import open_peer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("texts", nargs="+", type=pathlib.Path)
    parser.add_argument("--ours", required=True, help="the perplexity binary")
    parser.add_argument("--bytes", type=int, default=50_000, help="of all texts together, an equal share of each")
    parser.add_argument("--window", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--isa", nargs="*", default=[], help="instruction sets to force; the fastest by default")
    parser.add_argument("--plain", action="store_true", help="llama.cpp without its repacked weights, AMX among them")
    arguments = parser.parse_args()

    share = arguments.bytes // len(arguments.texts)
    text = "\n".join(path.read_bytes()[:share].decode(errors="ignore") for path in arguments.texts)
    peer = open_peer(arguments.model, arguments.threads, arguments.plain, arguments.window, logits_all=True)
    ids = peer.tokenize(text.encode(), add_bos=False)
    windows = [ids[at:at + arguments.window] for at in range(0, len(ids) - 1, arguments.window)]
    windows = [window for window in windows if len(window) > 1]
    total, count = 0.0, 0
    for window in windows:
        peer.reset()
        peer.eval(window)
        scores = peer.scores[: len(window)].astype(np.float64)
        scores -= scores.max(axis=1, keepdims=True)
        surprise = np.log(np.exp(scores).sum(axis=1))
        for row, following in enumerate(window[1:]):
            total += surprise[row] - scores[row, following]
            count += 1
    theirs = math.exp(total / count)
    print(f"llama.cpp             {theirs:9.4f}   ({count} tokens)")
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(windows, file)
        file.flush()
        for isa in arguments.isa or [None]:
            command = [arguments.ours, arguments.model, file.name, str(arguments.threads), *([isa] if isa else [])]
            figures = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            ours = figures["perplexity"]
            print(f"fontes {figures['isa']:14} {ours:9.4f}   {100 * (ours / theirs - 1):+.2f} %")


if __name__ == "__main__":
    main()
