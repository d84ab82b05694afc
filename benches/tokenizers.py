"""Compares tokenizers rebuilt from GGUF files with llama.cpp's, and SentencePiece ones with the algorithm as published.

    cargo build --release -p fontes-model --example tokenize
    python -m venv /tmp/peer && /tmp/peer/bin/pip install llama-cpp-python==0.3.36 gguf numpy
    /tmp/peer/bin/python benches/tokenizers.py MODEL.gguf... --ours target/release/examples/tokenize

Texts: sentences of several languages and scripts, odd white space, numbers, code, emoji, control tokens as plain text, and
random strings (seeded). Without llama-cpp-python only SentencePiece vocabularies are compared. Prints a line of JSON per
file; exit status 1 when a text is encoded differently.
"""

import argparse
import heapq
import json
import random
import subprocess
import sys

TEXTS = [
    "The Federal Council has seven members.", "Die Bundesversammlung wählt sie für vier Jahre.", "C’est l’État, n'est-ce pas ?",
    "Perché no? Così è.", "Grüezi mitenand, äbe!", "日本語のテキスト、そして漢字。", "한국어 문장입니다.", "Это русский текст.",
    "שלום עולם", "مرحبا بالعالم", "नमस्ते दुनिया", "🇨🇭 👩‍👩‍👧 e\u0301 ﬁ ½ ²", "  two  spaces   three", "tabs\tand\n\nnew\r\nlines \n x", " lead",
    "trail ", "", " ", "\n", "1234567890 3.14 1'000'000.50 Art. 5 Abs. 2", "CamelCaseWordsAndACRONYMs don't I'VE we'll",
    "def f(x):\n    return x**2  # comment\n", "<|im_end|> </s> <start_of_turn> [INST] <eos>", "a\u2581b \u00a0 \u200b", "\u0000\u0001\u007f", "Straße ǅ ſ İ",
]


def texts(count):
    rng = random.Random(7)
    ranges = [(32, 127), (0xA0, 0x250), (0x370, 0x600), (0x900, 0xE00), (0x3040, 0x3100), (0x4E00, 0x5000), (0x1F300, 0x1F650)]
    made = []
    for _ in range(count):
        text = ""
        for _ in range(rng.randrange(1, 6)):
            low, high = rng.choice(ranges)
            text += "".join(chr(rng.randrange(low, high)) for _ in range(rng.randrange(1, 9))) + rng.choice(["", " ", "\n", "  "])
        made.append(text)
    return TEXTS + made


def fields(path):
    from gguf import GGUFReader

    reader = GGUFReader(path)
    value = lambda key: reader.fields[key].contents() if key in reader.fields else None
    return {key: value(f"tokenizer.ggml.{key}") for key in ("model", "tokens", "scores", "token_type", "add_space_prefix")}


def sentence_piece(vocabulary):
    """Joins, again and again, the adjacent pair whose joint piece scores highest (Kudo and Richardson 2018, BPE)."""
    tokens, scores, kinds = vocabulary["tokens"], vocabulary["scores"], vocabulary["token_type"]
    ids = {token: number for number, token in enumerate(tokens)}
    user = sorted((token for token, kind in zip(tokens, kinds) if kind == 4), key=len, reverse=True)
    prefix = vocabulary["add_space_prefix"] is not False

    def run(text):
        pieces = list(text.replace(" ", "\u2581"))
        after, before = list(range(1, len(pieces) + 1)), list(range(-1, len(pieces) - 1))
        heap = []

        def push(left):
            right = after[left]
            if right < len(pieces) and pieces[left] + pieces[right] in ids:
                joint = pieces[left] + pieces[right]
                heapq.heappush(heap, (-scores[ids[joint]], left, right, joint))

        for left in range(len(pieces)):
            push(left)
        while heap:
            _, left, right, joint = heapq.heappop(heap)
            if pieces[left] is None or right >= len(pieces) or pieces[right] is None or pieces[left] + pieces[right] != joint:
                continue
            pieces[left], pieces[right] = joint, None
            after[left] = after[right]
            if after[left] < len(pieces):
                before[after[left]] = left
            if before[left] >= 0:
                push(before[left])
            push(left)
        out = []
        for piece in (piece for piece in pieces if piece is not None):
            out += [ids[piece]] if piece in ids else [ids[f"<0x{byte:02X}>"] for byte in piece.encode()]
        return out

    def encode(text):
        if prefix and text:
            text = " " + text
        # Tokens that were added by hand for runs of white space are cut out first, the longest at the earliest place.
        plain = [token for token in user if token.strip(" \n\t\u2581") == ""]
        out, run_of = [], ""
        while text:
            found = next((token for token in plain if text.startswith(token)), None)
            if found:
                out += run(run_of) + [ids[found]]
                run_of, text = "", text[len(found) :]
            else:
                run_of, text = run_of + text[0], text[1:]
        return out + run(run_of)

    return encode


def llama_cpp(path):
    try:
        from llama_cpp import Llama
    except ImportError:
        return None
    model = Llama(path, vocab_only=True, verbose=False)
    return lambda text: model.tokenize(text.encode(), add_bos=False, special=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--ours", required=True)
    parser.add_argument("--random", type=int, default=300)
    options = parser.parse_args()
    same = True
    for path in options.models:
        cases = texts(options.random)
        # The example reads lines: texts travel as JSON strings. An empty line would be an empty text, too.
        lines = "\n".join(json.dumps(text) for text in cases)
        ours = [json.loads(line) for line in subprocess.run([options.ours, path], input=lines, text=True, check=True, capture_output=True).stdout.splitlines()]
        assert len(ours) == len(cases)
        vocabulary = fields(path)
        witnesses = {"llama.cpp": llama_cpp(path), "algorithm": sentence_piece(vocabulary) if vocabulary["model"] == "llama" else None}
        report = {"file": path.rsplit("/", 1)[-1], "texts": len(cases)}
        for name, encode in witnesses.items():
            if encode:
                wrong = [(text, mine, theirs) for text, mine in zip(cases, ours) if mine != (theirs := encode(text))]
                report[name] = {"equal": len(cases) - len(wrong), "first_difference": wrong[:1]}
                same &= not wrong
        print(json.dumps(report, ensure_ascii=False))
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
