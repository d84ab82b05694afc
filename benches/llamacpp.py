"""Compares the CPU runner with llama.cpp on the same GGUF file: interleaved runs, medians, ratios.

    cargo build --release -p fontes-model --example generate_speed
    python -m venv /tmp/peer && /tmp/peer/bin/pip install llama-cpp-python==0.3.36 gguf numpy
    /tmp/peer/bin/python benches/random_model.py 1.2b /tmp/1.2b.gguf
    /tmp/peer/bin/python benches/llamacpp.py /tmp/1.2b.gguf --ours target/release/examples/generate_speed

Each run is a process of its own that loads the file, reads 512 and 2,048 random tokens, and generates 32 tokens after none
and after 2,048; so peak memory and load time are comparable. Both sides get the same number of threads. The peer is built
from source by pip, for this processor.
"""

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import time

GENERATED = 32
HIGHER_IS_BETTER = {"prefill_512": True, "prefill_2048": True, "decode_0": True, "decode_2048": True}


def peer(path, threads, plain):
    """One run of llama.cpp, in this process."""
    import llama_cpp
    from llama_cpp import Llama

    if plain:
        defaults = llama_cpp.llama_model_default_params

        def without_repacking():
            parameters = defaults()
            parameters.use_extra_bufts = False
            return parameters

        llama_cpp.llama_model_default_params = llama_cpp.llama_cpp.llama_model_default_params = without_repacking
    begin = time.perf_counter()
    model = Llama(path, n_ctx=2048 + 64, n_batch=512, n_threads=threads, n_threads_batch=threads, verbose=False)
    figures = {"load_s": time.perf_counter() - begin}
    tokens = [random.Random(1).randrange(1000, 30000 if model.n_vocab() > 40000 else model.n_vocab()) for _ in range(2048)]
    model.eval(tokens[:8])

    def read(count):
        model.reset()
        begin = time.perf_counter()
        model.eval(tokens[:count])
        return count / (time.perf_counter() - begin)

    def generate():
        begin = time.perf_counter()
        for index in range(GENERATED):
            model.eval([tokens[index]])
        return GENERATED / (time.perf_counter() - begin)

    figures["prefill_512"] = read(512)
    figures["prefill_2048"] = read(2048)
    figures["decode_2048"] = generate()
    read(1)
    figures["decode_0"] = generate()
    figures["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(figures))


def run(command):
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--ours", help="the generate_speed binary")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peer", action="store_true", help="one run of llama.cpp, as JSON")
    parser.add_argument("--plain", action="store_true", help="llama.cpp without its repacked weights, AMX among them")
    parser.add_argument("--isa", default="", help="the instruction set that fontes is to use; the fastest by default")
    arguments = parser.parse_args()
    if arguments.peer:
        return peer(arguments.model, arguments.threads, arguments.plain)
    ours, theirs = [], []
    for _ in range(arguments.runs):
        ours.append(run([arguments.ours, arguments.model, str(arguments.threads), *filter(None, [arguments.isa])]))
        print(json.dumps(ours[-1]), file=sys.stderr)
        command = [sys.executable, __file__, arguments.model, "--peer", "--threads", str(arguments.threads)]
        theirs.append(run(command + ["--plain"] * arguments.plain))
    print(f"{'':14}{'fontes':>10}{'llama.cpp':>12}{'ratio':>8}   (medians of {arguments.runs}; best in brackets)")
    for key in theirs[0]:
        left, right = [figures[key] for figures in ours], [figures[key] for figures in theirs]
        best = max if key in HIGHER_IS_BETTER else min
        a, b = statistics.median(left), statistics.median(right)
        print(f"{key:14}{a:10.2f}{b:12.2f}{a / b:8.2f}   [{best(left):.2f} / {best(right):.2f}]")
    for key in sorted(set(ours[0]) - set(theirs[0])):
        print(f"{key:14}{statistics.median(figures[key] for figures in ours):10.2f}")


if __name__ == "__main__":
    main()
