"""Trains the reader of config/reader: a change of rank 8 of multilingual-e5-small, and a head that finds answers.

    python benches/train_reader.py prepare --model ~/.cache/fontes/models/multilingual-e5-small --out work \\
        --parallel xquad/xquad.de.json --parallel xquad/xquad.en.json ... --squad PolicyQA/data/dev.json ... \\
        --qamr qamr/data/readable/dev.tsv ... --beir squad-it-test --beir piaf-fr
    python benches/train_reader.py train work --seconds 90          # needs torch; a GPU, or a night
    python benches/train_reader.py export work config/reader/multilingual-e5-small.safetensors

Question and text are read together; two numbers per token say how much speaks for an answer beginning and ending there,
those of the first token for none (Devlin et al. 2018). The encoder's weights stay; each linear layer gets the sum of a
product of two small matrices (Hu et al. 2021). Of sets that answers are also measured on, only every second article is
learnt from. `prepare` needs numpy and tokenizers, `train` numpy and torch. Texts of
several parts make negatives: the nearest other texts of the same article or corpus that do not hold the answer.
"""

import argparse
import collections
import hashlib
import json
import math
import pathlib
import random
import re
import struct
import time

import numpy as np

HIDDEN, LAYERS, HEADS, WIDE, RANK = 384, 12, 12, 1536, 8
QUESTION, LONGEST = 64, 448
PARTS = {"q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
         "ao": "attention.output.dense", "fi": "intermediate.dense", "fo": "output.dense"}


def nearest(texts):
    """BM25 over texts: a function from question to indices, best first."""
    words = lambda text: [word[:7] for word in re.findall(r"\w+", text.lower())]
    counts = [collections.Counter(words(text)) for text in texts]
    lengths = np.array([sum(count.values()) for count in counts])
    postings = collections.defaultdict(list)
    for number, count in enumerate(counts):
        for word, times in count.items():
            postings[word].append((number, times))

    def search(question):
        scores = np.zeros(len(texts))
        for word in set(words(question)):
            found = postings.get(word, [])
            weight = math.log(1 + (len(texts) - len(found) + 0.5) / (len(found) + 0.5))
            for number, times in found:
                scores[number] += weight * times * 2.2 / (times + 0.3 + 0.9 * lengths[number] / lengths.mean())
        return [int(number) for number in np.argsort(-scores)[:12]]

    return search


class Examples:
    """Texts, questions, and which answers which where; numbers stand for texts."""

    def __init__(self):
        self.texts, self.questions, self.rows, self.known = [], [], [], {}

    def text(self, text):
        if text not in self.known:
            self.known[text] = len(self.texts)
            self.texts.append(text)
        return self.known[text]

    def add(self, question, text, answer, start, others, negatives):
        """One question with the text that answers it, and up to `negatives` of the others."""
        self.questions.append(question)
        number = len(self.questions) - 1
        self.rows.append((number, self.text(text), start, start + len(answer)))
        wrong = [other for other in others if answer.lower() not in other.lower()]
        self.rows.extend((number, self.text(other), -1, -1) for other in wrong[:negatives])

    def add_squad(self, path):
        """A file in the layout of SQuAD: three negatives of the same article."""
        for article in json.load(open(path, encoding="utf-8"))["data"]:
            texts = [paragraph["context"] for paragraph in article["paragraphs"]]
            search = nearest(texts) if len(texts) > 1 else lambda question: []
            for number, paragraph in enumerate(article["paragraphs"]):
                for qa in paragraph["qas"]:
                    if qa.get("answers"):
                        answer, others = qa["answers"][0], [texts[n] for n in search(qa["question"]) if n != number]
                        self.add(qa["question"], texts[number], answer["text"], answer["answer_start"], others, 3)

    def add_parallel(self, paths, draw):
        """Files in the layout of SQuAD with the same questions in several languages: each question in its language, and
        twice with question and text in two languages. Every second article only."""
        versions = [json.load(open(path, encoding="utf-8"))["data"] for path in paths]
        for number in range(0, len(versions[0]), 2):
            texts = [[paragraph["context"] for paragraph in version[number]["paragraphs"]] for version in versions]
            for at, paragraph in enumerate(versions[0][number]["paragraphs"]):
                for qa in range(len(paragraph["qas"])):
                    pairs = [(n, n) for n in range(len(versions))] + [draw.sample(range(len(versions)), 2) for _ in range(2)]
                    for asked, read in pairs:
                        question = versions[asked][number]["paragraphs"][at]["qas"][qa]["question"]
                        answer = versions[read][number]["paragraphs"][at]["qas"][qa]["answers"][0]
                        others = [text for other, text in enumerate(texts[read]) if other != at]
                        draw.shuffle(others)
                        self.add(question, texts[read][at], answer["text"], answer["answer_start"], others, 2)

    def add_beir(self, folder):
        """A folder in the layout of BEIR with known answers: three negatives of the whole corpus. The second part of a
        document's id is its article, of which every second is learnt from."""
        folder = pathlib.Path(folder)
        documents = [json.loads(line) for line in open(folder / "corpus.jsonl", encoding="utf-8")]
        number = {document["_id"]: at for at, document in enumerate(documents)}
        relevant = dict(line.split()[:2] for line in open(folder / "qrels" / "test.tsv", encoding="utf-8"))
        search = nearest([f"{document['title']} {document['text']}" for document in documents])
        for line in open(folder / "queries.jsonl", encoding="utf-8"):
            query = json.loads(line)
            document, answers = relevant.get(query["_id"]), query.get("metadata", {}).get("answers", [])
            if document not in number or not answers or int(document.split("-")[1]) % 2:
                continue
            text, answer = documents[number[document]]["text"], answers[0]["text"]
            start = text.find(answer)
            if start >= 0:
                others = [documents[n]["text"] for n in search(query["text"]) if n != number[document]]
                self.add(query["text"], text, answer, start, others, 3)

    def add_qamr(self, path, draw):
        """QAMR, readable form: sentences with questions; the text is made of some sentences of the same article."""
        blocks = [block.split("\n") for block in open(path, encoding="utf-8").read().split("\n\n") if block.startswith("#")]
        articles = collections.defaultdict(list)
        for block in blocks:
            articles[block[0].split(":")[2]].append(block[1])
        for block in blocks:
            sentence, same = block[1], [other for other in articles[block[0].split(":")[2]] if other != block[1]]
            for line in draw.sample(block[2:], min(9, len(block) - 2)):
                question, answer = line[:50].strip(), line[50:].strip().split("\t")[0].strip()
                at = sentence.find(answer) if answer else -1
                if at < 0 or not question.endswith("?"):
                    continue
                others = draw.sample(same, min(3, len(same))) + [draw.choice(blocks)[1] for _ in range(draw.randint(0, 3))]
                draw.shuffle(others)
                place = draw.randint(0, len(others))
                before = " ".join(others[:place])
                text = " ".join(others[:place] + [sentence] + others[place:])
                self.add(question, text, answer, len(before) + bool(before) + at, [" ".join(others)], draw.randint(0, 1))


def prepare(arguments):
    from tokenizers import Tokenizer

    draw, examples = random.Random(7), Examples()
    for path in arguments.squad:
        examples.add_squad(path)
    for folder in arguments.beir:
        examples.add_beir(folder)
    if arguments.parallel:
        examples.add_parallel(arguments.parallel, draw)
    for path in arguments.qamr:
        examples.add_qamr(path, draw)
    folder = pathlib.Path(arguments.model)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    texts = tokenizer.encode_batch([text[:4000] for text in examples.texts], add_special_tokens=False)
    questions = tokenizer.encode_batch(examples.questions, add_special_tokens=False)
    rows = []
    for question, text, start, end in examples.rows:
        inside = [at for at, (a, b) in enumerate(texts[text].offsets) if b > start and a < end] if start >= 0 else [-1]
        if inside and inside[-1] < LONGEST - QUESTION - 4:
            rows.append((question, text, inside[0], inside[-1]))
    used = sorted({0, 2}.union(*(encoding.ids for encoding in texts + questions)))
    place = {token: at for at, token in enumerate(used)}
    flat = lambda encodings: np.array([place[token] for encoding in encodings for token in encoding.ids], np.int32)
    ends = lambda encodings: np.cumsum([0] + [len(encoding.ids) for encoding in encodings])
    out = pathlib.Path(arguments.out)
    out.mkdir(exist_ok=True)
    np.savez_compressed(out / "examples.npz", rows=np.array(rows, np.int32), texts=flat(texts), text_ends=ends(texts),
                        questions=flat(questions), question_ends=ends(questions), specials=[place[0], place[2]])
    np.savez_compressed(out / "base.npz", **container(folder / "e5-small-q4.bin", used))
    files = sorted(path for path in folder.iterdir() if path.name in ("e5-small-q4.bin", "tokenizer.json"))
    lines = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)
    (out / "base_sha256").write_text(hashlib.sha256(lines.encode()).hexdigest())
    print(f"{len(rows)} pairs, {len(examples.texts)} texts, {len(used)} of the vocabulary")


def container(path, used):
    """The tensors of an E5S1 container (crates/model/src/encoder/e5s1.rs), Q4_0 blocks as they are, `used` rows of the words."""
    data, at = path.read_bytes(), 4

    def take(form):
        nonlocal at
        values = struct.unpack_from("<" + form, data, at)
        at += struct.calcsize("<" + form)
        return values

    vocabulary = take("I7ifi")[6 - 1]
    pieces, length = take("5i")[0], take("Q")[0]
    at += (pieces + 1) * 4 + pieces * 4 + length
    skipped = take("iI")[1]
    at += skipped
    tensors = {}
    for _ in range(take("i")[0]):
        size = take("H")[0]
        name, at = data[at:at + size].decode(), at + size
        quantised, count, offset, length = take("BIQQ")
        if not quantised:
            tensors[name] = np.frombuffer(data, np.float32, count, offset)
            continue
        blocks = np.frombuffer(data, np.uint8, length, offset).reshape(-1, 18)
        if name == "emb.word":
            blocks = blocks.reshape(vocabulary, -1, 18)[used].reshape(-1, 18)
        tensors["q4." + name] = blocks
    return tensors


def train(arguments):
    import torch
    from torch import nn
    from torch.nn import functional as F

    torch.manual_seed(0)
    draw, folder = np.random.default_rng(0), pathlib.Path(arguments.folder)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    base, data = np.load(folder / "base.npz"), np.load(folder / "examples.npz")

    def weights(name):
        if name in base:
            return torch.tensor(base[name])
        blocks = base["q4." + name]
        scale, nibbles = blocks[:, :2].copy().view(np.float16).astype(np.float32), blocks[:, 2:]
        values = np.concatenate([(nibbles & 15).astype(np.int8) - 8, (nibbles >> 4).astype(np.int8) - 8], 1) * scale
        return torch.tensor(values.reshape(-1))

    class Linear(nn.Module):
        def __init__(self, name, outputs, inputs):
            super().__init__()
            self.register_buffer("w", weights(name + ".w").view(outputs, inputs))
            self.register_buffer("b", weights(name + ".b"))
            self.down = nn.Parameter(torch.randn(RANK, inputs) / math.sqrt(inputs))
            self.up = nn.Parameter(torch.zeros(outputs, RANK))

        def forward(self, x):
            return F.linear(x, self.w, self.b) + F.linear(F.linear(x, self.down), self.up)

    class Norm(nn.Module):
        def __init__(self, name):
            super().__init__()
            self.register_buffer("w", weights(name + ".w"))
            self.register_buffer("b", weights(name + ".b"))

        def forward(self, x):
            return F.layer_norm(x.float(), (HIDDEN,), self.w, self.b, 1e-12)

    class Layer(nn.Module):
        def __init__(self, number):
            super().__init__()
            name = f"l{number}."
            self.q, self.k, self.v, self.ao = (Linear(name + part, HIDDEN, HIDDEN) for part in ("q", "k", "v", "ao"))
            self.fi, self.fo = Linear(name + "fi", WIDE, HIDDEN), Linear(name + "fo", HIDDEN, WIDE)
            self.attended, self.output = Norm(name + "aln"), Norm(name + "oln")

        def forward(self, x, mask):
            heads = lambda y: y.view(*y.shape[:2], HEADS, -1).transpose(1, 2)
            y = F.scaled_dot_product_attention(heads(self.q(x)), heads(self.k(x)), heads(self.v(x)), attn_mask=mask)
            x = self.attended(x + F.dropout(self.ao(y.transpose(1, 2).flatten(2)), 0.1, self.training))
            return self.output(x + F.dropout(self.fo(F.gelu(self.fi(x))), 0.1, self.training))

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            for name in ("word", "pos", "type"):
                self.register_buffer("table_" + name, weights("emb." + name).view(-1, HIDDEN))
            self.norm, self.layers = Norm("emb.ln"), nn.ModuleList(Layer(number) for number in range(LAYERS))
            self.head = nn.Linear(HIDDEN, 2)

        def forward(self, ids, valid):
            x = self.norm(self.table_word[ids] + self.table_pos[: ids.shape[1]] + self.table_type[0])
            for layer in self.layers:
                x = layer(F.dropout(x, 0.1, self.training), valid[:, None, None, :])
            return self.head(x.float())

    begin_token, end_token = (int(token) for token in data["specials"])
    rows, texts, text_ends = data["rows"], data["texts"], data["text_ends"]
    questions, question_ends = data["questions"], data["question_ends"]

    def batch(chosen):
        inputs, offsets = [], []
        for question, text, _, _ in chosen:
            asked = questions[question_ends[question]:question_ends[question + 1]][:QUESTION]
            read = texts[text_ends[text]:text_ends[text + 1]][: LONGEST - QUESTION - 4]
            inputs.append(np.concatenate([[begin_token], asked, [end_token] * 2, read, [end_token]]))
            offsets.append(len(asked) + 3)
        ids = np.full((len(inputs), max(map(len, inputs))), begin_token, np.int64)
        valid, allowed = np.zeros(ids.shape, bool), np.zeros(ids.shape, bool)
        for at, (tokens, offset) in enumerate(zip(inputs, offsets)):
            ids[at, : len(tokens)], valid[at, : len(tokens)] = tokens, True
            allowed[at, 0] = allowed[at, offset : len(tokens) - 1] = True
        ends = [[0 if row[2] < 0 else offset + int(row[side]) for row, offset in zip(chosen, offsets)] for side in (2, 3)]
        return [torch.tensor(x, device=device) for x in (ids, valid, allowed, *ends)]

    reader = Reader().to(device)
    learnt = [parameter for parameter in reader.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(learnt, lr=1e-3, weight_decay=0.01, betas=(0.9, 0.98))
    lengths = np.array([min(question_ends[q + 1] - question_ends[q], QUESTION) + text_ends[t + 1] - text_ends[t] + 4
                        for q, t, _, _ in rows]).clip(max=LONGEST)
    begin, step, losses = time.time(), 0, []
    reader.train()
    while (done := (time.time() - begin) / arguments.seconds) < 1:
        pool = draw.choice(len(rows), 512, replace=False)
        pool = pool[np.argsort(lengths[pool])]
        at = draw.integers(0, 352)
        chosen = rows[pool[at : at + max(8, 24_000 // int(lengths[pool[min(511, at + 160)]]))]]
        ids, valid, allowed, starts, ends = batch(chosen)
        for group in optimiser.param_groups:
            group["lr"] = 1e-3 * min(1, step / 100) * max(0.02, 1 - done)
        with torch.autocast(device, dtype=torch.bfloat16):
            logits = reader(ids, valid)
        logits = logits.float().masked_fill(~allowed[..., None], -1e4)
        loss = (F.cross_entropy(logits[..., 0], starts) + F.cross_entropy(logits[..., 1], ends)) / 2
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(learnt, 1.0)
        optimiser.step()
        step, losses = step + 1, [*losses[-149:], loss.item()]
        if step % 150 == 0:
            print(f"{step} steps, {done:.2f} of the time, loss {np.mean(losses):.3f}", flush=True)
    state = {name: value.detach().cpu().half().numpy() for name, value in reader.named_parameters()}
    np.savez_compressed(folder / "reader.npz", **state)


def export(arguments):
    folder = pathlib.Path(arguments.folder)
    tensors = {}
    for name, value in np.load(folder / "reader.npz").items():
        part = name.split(".")
        if part[0] == "layers":
            name = f"encoder.layer.{part[1]}.{PARTS[part[2]]}.{part[3]}"
        tensors[name] = value
    header = {"__metadata__": {"base": "multilingual-e5-small", "base_sha256": (folder / "base_sha256").read_text()}}
    data = b""
    for name in sorted(tensors):
        content = np.ascontiguousarray(tensors[name]).tobytes()
        ends = [len(data), len(data) + len(content)]
        header[name] = {"dtype": "F16", "shape": list(tensors[name].shape), "data_offsets": ends}
        data += content
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    pathlib.Path(arguments.file).write_bytes(struct.pack("<Q", len(head)) + head + data)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("prepare")
    command.add_argument("--model", required=True)
    command.add_argument("--out", required=True)
    for source in ("squad", "parallel", "beir", "qamr"):
        command.add_argument(f"--{source}", action="append", default=[])
    command.set_defaults(run=prepare)
    command = commands.add_parser("train")
    command.add_argument("folder")
    command.add_argument("--seconds", type=float, default=90)
    command.set_defaults(run=train)
    command = commands.add_parser("export")
    command.add_argument("folder")
    command.add_argument("file")
    command.set_defaults(run=export)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
