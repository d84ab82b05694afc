"""Trains the reader of config/reader: a change of low rank of multilingual-e5-small, and a head that finds answers.

    python -P benches/train_reader.py prepare --model ~/.cache/fontes/models/multilingual-e5-small --out work \\
        --parallel xquad/xquad.de.json --parallel xquad/xquad.en.json ... --translated squad-it.json ... \\
        --half piaf-v1.0.json --squad PolicyQA/data/dev.json ... --qamr qamr/data/readable/dev.tsv ...
    python benches/train_reader.py train work --seconds 240          # needs torch; a GPU, or a night
    python benches/train_reader.py judge work                        # on articles that were held back
    python benches/train_reader.py export work config/reader/multilingual-e5-small.safetensors

Question and text are read together; two numbers per token say how much speaks for an answer beginning and ending there,
those of the first token for none (Devlin et al. 2018). The encoder's weights stay; each linear layer gets the sum of a
product of two small matrices (Hu et al. 2021). Of sets that answers are also measured on, only every second article is
learnt from: of XQuAD the even ones, of translations of SQuAD those articles of which questions stand in even ones of XQuAD.
Texts that do not answer come from the same article or corpus: the nearest others that do not hold the answer. A set is drawn
from in proportion to the square root of its size. `prepare` needs numpy and tokenizers, the others numpy and torch.
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

HIDDEN, LAYERS, HEADS, WIDE = 384, 12, 12, 1536
QUESTION, LONGEST = 64, 448
LONG, WINDOW = 1_600, 1_200  # characters: what is longer than the one is cut into windows of the other
PARTS = {"q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
         "ao": "attention.output.dense", "fi": "intermediate.dense", "fo": "output.dense"}


def nearest(texts):
    """BM25 over texts: a function from question to indices, best first."""
    words = lambda text: [word[:7] for word in re.findall(r"\w+", text.lower())]
    counts = [collections.Counter(words(text)) for text in texts]
    lengths = np.array([sum(count.values()) for count in counts])
    found = collections.defaultdict(list)
    for number, count in enumerate(counts):
        for word, times in count.items():
            found[word].append((number, times))
    postings = {}
    for word, pairs in found.items():
        numbers, times = np.array(pairs).T
        weight = math.log(1 + (len(texts) - len(numbers) + 0.5) / (len(numbers) + 0.5))
        postings[word] = numbers, weight * times * 2.2 / (times + 0.3 + 0.9 * lengths[numbers] / lengths.mean())

    def search(question):
        scores = np.zeros(len(texts))
        for numbers, shares in (postings[word] for word in set(words(question)) if word in postings):
            scores[numbers] += shares
        return np.argsort(-scores)[:12].tolist()

    return search


def articles(path):
    """The articles of a file in the layout of SQuAD: lists of (text, questions)."""
    data = json.load(open(path, encoding="utf-8"))["data"]
    return [[(paragraph["context"], paragraph["qas"]) for paragraph in article["paragraphs"]] for article in data]


def windows(text):
    """A long text in pieces."""
    return [text[start : start + WINDOW] for start in range(0, len(text), WINDOW)]


def window_around(text, inside, draw):
    """A piece of a long text that holds `inside`, a range of characters, from a place of chance on; and where it begins."""
    start = max(0, min(inside[0], max(inside[1] - WINDOW, inside[0] - draw.randint(0, WINDOW))))
    start = text.rfind(" ", 0, start) + 1 if start else 0
    return start, text[start : max(start + WINDOW, inside[1])]


class Examples:
    """Texts, questions, and which answers which where; numbers stand for texts. A row: question, text, the answer's characters
    (-1 for none), the set."""

    def __init__(self, draw):
        self.draw, self.texts, self.questions, self.rows, self.known, self.set = draw, [], [], [], {}, 0

    def text(self, text):
        if text not in self.known:
            self.known[text] = len(self.texts)
            self.texts.append(text)
        return self.known[text]

    def add(self, question, text, answer, start, others, negatives):
        """One question with the text that answers it, and up to `negatives` of the others. An empty answer: none is there."""
        self.questions.append(question)
        number = len(self.questions) - 1
        if not answer:
            self.rows.append((number, self.text(text), -1, -1, self.set))
            return
        if text[start : start + len(answer)] != answer:
            start = text.find(answer)
        if start < 0:
            return
        if len(text) > LONG:
            others = windows(text) + others
            cut, text = window_around(text, (start, start + len(answer)), self.draw)
            start -= cut
        self.rows.append((number, self.text(text), start, start + len(answer), self.set))
        wrong = [other for other in others if answer.lower() not in other.lower()]
        self.rows.extend((number, self.text(other[:LONG]), -1, -1, self.set) for other in wrong[:negatives])

    def add_articles(self, chosen):
        """Three texts of the same article that do not answer."""
        for article in chosen:
            texts = [text for text, _ in article]
            search = nearest(texts) if len(texts) > 1 else lambda question: []
            for number, (text, qas) in enumerate(article):
                for qa in qas:
                    answer = qa["answers"][0] if qa.get("answers") else {"text": "", "answer_start": -1}
                    if answer["text"] or qa.get("is_impossible"):
                        others = [texts[n] for n in search(qa["question"]) if n != number]
                        self.add(qa["question"], text, answer["text"], int(answer["answer_start"]), others, 3)

    def add_parallel(self, versions):
        """The same articles in several languages, every second of which is learnt from: each question in its language, and
        twice with question and text in two languages."""
        for number in range(0, len(versions[0]), 2):
            for at, (_, qas) in enumerate(versions[0][number]):
                for qa in range(len(qas)):
                    pairs = [(n, n) for n in range(len(versions))] + [self.draw.sample(range(len(versions)), 2) for _ in range(2)]
                    for asked, read in pairs:
                        text, answers = versions[read][number][at]
                        answer = answers[qa]["answers"][0]
                        others = [text for other, (text, _) in enumerate(versions[read][number]) if other != at]
                        self.draw.shuffle(others)
                        question = versions[asked][number][at][1][qa]["question"]
                        self.add(question, text, answer["text"], answer["answer_start"], others, 2)

    def add_qamr(self, path):
        """QAMR, readable form: sentences with questions; the text is made of some sentences of the same article."""
        draw = self.draw
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

    def hold(self, name, everything, held, most):
        """Questions to judge by: the text that answers and the eight nearest others of the whole set; every known answer counts."""
        texts = list({text: None for article in everything for text, _ in article})
        search, number = nearest(texts), {text: at for at, text in enumerate(texts)}
        asked = [(qa, text) for article in held for text, qas in article for qa in qas if qa.get("answers")]
        self.draw.shuffle(asked)
        trials = []
        for qa, text in asked[:most]:
            self.questions.append(qa["question"])
            others = [at for at in search(qa["question"]) if at != number[text]][:8]
            answers = sorted({(int(a["answer_start"]), int(a["answer_start"]) + len(a["text"])) for a in qa["answers"]})
            trials.append({"question": len(self.questions) - 1, "text": self.text(text), "answers": answers,
                           "others": [self.text(texts[at]) for at in others]})
        return {"name": name, "trials": trials}


def prepare(arguments):
    from tokenizers import Tokenizer

    examples = Examples(random.Random(7))
    parallel = [articles(path) for path in arguments.parallel]
    number = {qa["id"]: at for at, article in enumerate(parallel[0]) for _, qas in article for qa in qas} if parallel else {}
    place_of = lambda article: next((number[qa["id"]] for _, qas in article for qa in qas if qa["id"] in number), 1)
    held, sources = [], [*arguments.squad, *arguments.translated, *arguments.half, *arguments.qamr, "parallel"]
    for path in arguments.squad:
        examples.add_articles(articles(path))
        examples.set += 1
    for path in arguments.translated:
        everything = articles(path)
        examples.add_articles([article for article in everything if place_of(article) % 2 == 0])
        examples.set += 1
        if path in arguments.judge:
            held.append(examples.hold(path, everything, [article for article in everything if place_of(article) % 2], 600))
    for path in arguments.half:
        everything = articles(path)
        examples.add_articles(everything[::2])
        examples.set += 1
        held.append(examples.hold(path, everything, everything[1::2], 600))
    for path in arguments.qamr:
        examples.add_qamr(path)
        examples.set += 1
    if parallel:
        examples.add_parallel(parallel)
        held.extend(examples.hold(path, all_of, all_of[1::2], 600)
                    for path, all_of in zip(arguments.parallel, parallel) if path in arguments.judge)
    folder = pathlib.Path(arguments.model)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    texts = tokenizer.encode_batch([text[:4000] for text in examples.texts], add_special_tokens=False)
    questions = tokenizer.encode_batch(examples.questions, add_special_tokens=False)

    def tokens(text, start, end):
        return [at for at, (a, b) in enumerate(texts[text].offsets) if b > start and a < end]

    rows = []
    for question, text, start, end, source in examples.rows:
        inside = tokens(text, start, end) if start >= 0 else [-1]
        if inside and inside[-1] < LONGEST - QUESTION - 4:
            rows.append((question, text, inside[0], inside[-1], source))
    for trials in held:
        for trial in trials["trials"]:
            ends = [tokens(trial["text"], start, end) for start, end in trial.pop("answers")]
            trial["answers"] = [(inside[0], inside[-1]) for inside in ends if inside]
    used = sorted({0, 2}.union(*(encoding.ids for encoding in texts + questions)))
    place = {token: at for at, token in enumerate(used)}
    flat = lambda encodings: np.array([place[token] for encoding in encodings for token in encoding.ids], np.int32)
    ends = lambda encodings: np.cumsum([0] + [len(encoding.ids) for encoding in encodings])
    out = pathlib.Path(arguments.out)
    out.mkdir(exist_ok=True)
    np.savez_compressed(out / "examples.npz", rows=np.array(rows, np.int32), texts=flat(texts), text_ends=ends(texts),
                        questions=flat(questions), question_ends=ends(questions), specials=[place[0], place[2]])
    (out / "held.json").write_text(json.dumps(held))
    np.savez_compressed(out / "base.npz", **container(folder / "e5-small-q4.bin", used))
    files = sorted(path for path in folder.iterdir() if path.name in ("e5-small-q4.bin", "tokenizer.json"))
    lines = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)
    (out / "base_sha256").write_text(hashlib.sha256(lines.encode()).hexdigest())
    sizes = collections.Counter(row[4] for row in rows)
    for at, source in enumerate(sources):
        print(f"{sizes[at]:8} pairs of {source}")
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


def network(folder, rank):
    """The encoder with a change of `rank` in each linear layer, and the head; torch."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    base = np.load(folder / "base.npz")

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
            self.down = nn.Parameter(torch.randn(rank, inputs) / math.sqrt(inputs))
            self.up = nn.Parameter(torch.zeros(outputs, rank))

        def forward(self, x):
            return F.linear(x, self.w + self.up @ self.down, self.b)

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

    return Reader()


class Inputs:
    """Pairs of question and text as tensors."""

    def __init__(self, folder, device):
        data = np.load(folder / "examples.npz")
        self.begin, self.end = (int(token) for token in data["specials"])
        self.rows, self.device = data["rows"], device
        self.questions, self.texts = ((data[name + "s"], data[name + "_ends"]) for name in ("question", "text"))

    def of(self, kind, number, most):
        tokens, ends = kind
        return tokens[ends[number] : ends[number + 1]][:most]

    def lengths(self, pairs):
        asked, read = (np.diff(ends) for _, ends in (self.questions, self.texts))
        return (np.minimum(asked[pairs[:, 0]], QUESTION) + read[pairs[:, 1]] + 4).clip(max=LONGEST)

    def batch(self, pairs):
        """Tokens, which are there, which may begin or end an answer, and where each text begins."""
        import torch

        inputs, offsets = [], []
        for question, text in pairs:
            asked = self.of(self.questions, question, QUESTION)
            read = self.of(self.texts, text, LONGEST - QUESTION - 4)
            inputs.append(np.concatenate([[self.begin], asked, [self.end] * 2, read, [self.end]]))
            offsets.append(len(asked) + 3)
        ids = np.full((len(inputs), max(map(len, inputs))), self.begin, np.int64)
        valid, allowed = np.zeros(ids.shape, bool), np.zeros(ids.shape, bool)
        for at, (tokens, offset) in enumerate(zip(inputs, offsets)):
            ids[at, : len(tokens)], valid[at, : len(tokens)] = tokens, True
            allowed[at, 0] = allowed[at, offset : len(tokens) - 1] = True
        return *(torch.tensor(x, device=self.device) for x in (ids, valid, allowed)), offsets


def train(arguments):
    import torch
    from torch.nn import functional as F

    torch.manual_seed(0)
    draw, folder = np.random.default_rng(0), pathlib.Path(arguments.folder)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    inputs = Inputs(folder, device)
    rows = inputs.rows[~np.isin(inputs.rows[:, 4], arguments.without)]
    sizes = np.bincount(rows[:, 4])
    chance = 1 / np.sqrt(sizes[rows[:, 4]])
    chance = np.cumsum(chance / chance.sum())
    reader = network(folder, arguments.rank).to(device)
    if arguments.start:
        with torch.no_grad():
            for name, value in np.load(folder / arguments.start).items():
                target = reader.get_parameter(name)
                target[tuple(slice(size) for size in value.shape)] = torch.tensor(value.astype(np.float32), device=device)
    learnt = [parameter for parameter in reader.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(learnt, lr=arguments.rate, weight_decay=0.01, betas=(0.9, 0.98))
    lengths = inputs.lengths(rows)
    begin, step, losses = time.time(), 0, []
    reader.train()
    while (done := (time.time() - begin) / arguments.seconds) < 1:
        pool = np.searchsorted(chance, draw.random(512)).clip(max=len(rows) - 1)
        pool = pool[np.argsort(lengths[pool])]
        at = draw.integers(0, 352)
        chosen = rows[pool[at : at + max(8, 24_000 // int(lengths[pool[min(511, at + 160)]]))]]
        ids, valid, allowed, offsets = inputs.batch(chosen[:, :2])
        starts, ends = (
            torch.tensor([0 if row[side] < 0 else offset + int(row[side]) for row, offset in zip(chosen, offsets)], device=device)
            for side in (2, 3)
        )
        for group in optimiser.param_groups:
            group["lr"] = arguments.rate * min(1, step / 100) * max(0.02, 1 - done)
        with torch.autocast(device, dtype=torch.bfloat16):
            logits = reader(ids, valid)
        logits = logits.float().masked_fill(~allowed[..., None], -1e4)
        loss = (F.cross_entropy(logits[..., 0], starts) + F.cross_entropy(logits[..., 1], ends)) / 2
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learnt, 1.0)
        optimiser.step()
        step += 1
        losses = [*losses[-149:], loss.detach()]
        if step % 150 == 0:
            print(f"{step} steps, {done:.2f} of the time, loss {torch.stack(losses).mean().item():.3f}", flush=True)
    state = {name: value.detach().cpu().half().numpy() for name, value in reader.named_parameters()}
    np.savez_compressed(folder / arguments.name, **state)


def judge(arguments):
    """Of the text that answers and the eight nearest others: whether the likeliest answer overlaps a known one, and, at the
    threshold where one in ten is answered though that text is gone, precision and recall."""
    import torch

    folder, device = pathlib.Path(arguments.folder), "cuda" if torch.cuda.is_available() else "cpu"
    inputs, state = Inputs(folder, device), np.load(folder / arguments.name)
    reader = network(folder, state["layers.0.q.down"].shape[0]).to(device).eval()
    with torch.no_grad():
        for name, value in reader.named_parameters():
            value.copy_(torch.tensor(state[name].astype(np.float32)))
    for held in json.loads((folder / "held.json").read_text()):
        pairs = np.array([(trial["question"], text) for trial in held["trials"] for text in (trial["text"], *trial["others"])])
        order, best = np.argsort(inputs.lengths(pairs)), [None] * len(pairs)
        for at in range(0, len(pairs), 128):
            chosen = order[at : at + 128]
            ids, valid, allowed, offsets = inputs.batch(pairs[chosen])
            with torch.no_grad(), torch.autocast(device, dtype=torch.bfloat16):
                logits = reader(ids, valid).float()
            none = logits[:, 0].sum(-1)
            logits = logits.masked_fill(~allowed[..., None], -1e4)
            logits[:, 0] = -1e4
            together = torch.stack([torch.nn.functional.pad(logits[:, n:, 1], (0, n), value=-1e4) for n in range(30)], -1)
            together = (logits[..., :1] + together).flatten(1)
            score, place = together.max(-1)
            for number, value, where, offset in zip(chosen, (score - none).tolist(), place.tolist(), offsets):
                start = where // 30 - offset
                best[number] = (value, start, start + where % 30)
        answered, gone, at = [], [], 0
        for trial in held["trials"]:
            found = best[at : at + 1 + len(trial["others"])]
            at += len(found)
            likeliest = max(range(len(found)), key=lambda n: found[n][0])
            _, start, end = found[0]
            right = likeliest == 0 and any(start <= b and a <= end for a, b in trial["answers"])
            answered.append((found[likeliest][0], right))
            gone.append(max(score for score, _, _ in found[1:]))
        threshold = float(np.quantile(gone, 0.9))
        told = [right for score, right in answered if score > threshold]
        print(f"{pathlib.Path(held['name']).name}: {len(answered)} questions, right {np.mean([r for _, r in answered]):.3f}, at "
              f"{threshold:.2f} precision {np.mean(told):.3f} recall {sum(told) / len(answered):.3f}", flush=True)


def export(arguments):
    folder = pathlib.Path(arguments.folder)
    tensors = {}
    for name, value in np.load(folder / arguments.name).items():
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
    for source in ("squad", "parallel", "translated", "half", "qamr", "judge"):
        command.add_argument(f"--{source}", action="append", default=[])
    command.set_defaults(run=prepare)
    for name, run in (("train", train), ("judge", judge), ("export", export)):
        command = commands.add_parser(name)
        command.add_argument("folder")
        command.add_argument("--name", default="reader.npz", help="the trained weights in the folder")
        command.set_defaults(run=run)
        if run is train:
            command.add_argument("--seconds", type=float, default=240)
            command.add_argument("--rank", type=int, default=8)
            command.add_argument("--rate", type=float, default=1e-3)
            command.add_argument("--start", help="trained weights of that rank or less to go on from")
            command.add_argument("--without", type=int, nargs="*", default=[], help="numbers of sets, as `prepare` lists them")
        elif run is export:
            command.add_argument("file")
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
