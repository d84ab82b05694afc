"""Checks the candle runner on a GPU, and measures it beside transformers on the same checkpoint and card.

    cargo build --release -p fontes --features cuda          (with the CUDA toolkit)
    python benches/gpu.py --ours target/release/fontes --fixtures tests/fixtures/apertus
    python benches/gpu.py --ours target/release/fontes --shape 8b --work /tmp/gpu

The first form compares `fontes models probe --device cuda` with the reference logits of every fixture; `--device cpu` does so without
a GPU, in any build. The second writes a checkpoint of a real Apertus shape with random weights in bfloat16 and compares logits (f32
on both sides) and speed (bfloat16 on both sides, prompts of 512 and 2,048 tokens, 64 tokens after each). It needs torch and
transformers.
"""

import argparse
import json
import pathlib
import subprocess
import time

SHAPES = {  # hidden, intermediate, layers, heads, key/value heads, vocabulary
    "8b": (4096, 21504, 32, 32, 8, 131072),
    "1.2b": (2048, 10752, 20, 16, 4, 131072),
    "mini": (512, 1024, 2, 4, 2, 1024),
}
GENERATED = 64


def ours(binary, *arguments):
    command = [binary, *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)[:200]}: {done.stderr}")
    return json.loads(done.stdout)


def probe(binary, path, ids, greedy, *more):
    return ours(binary, "models", "probe", path, "--ids", ",".join(map(str, ids)), "--greedy", greedy, *more)


def compare(name, found, logits, argmax, greedy):
    difference = max(abs(a - b) for a, b in zip(found["last_logits"], logits))
    share = sum(a == b for a, b in zip(found["argmax_per_position"], argmax)) / max(1, len(argmax))
    same = found["greedy"][: len(greedy)] == greedy
    print(f"{name:34} max |dlogit| {difference:9.2e}   argmax {share:7.2%}   greedy {'equal' if same else 'DIFFERS'}", flush=True)


def fixtures(binary, folder, device):
    for reference in sorted(folder.glob("*/reference.json")):
        for case in json.loads(reference.read_text())["cases"]:
            greedy = next((case[key] for key in case if key.startswith("greedy")), [])
            ids = case.get("input_ids") or case["ids"]
            found = probe(binary, reference.parent, ids, len(greedy), "--dtype", "f32", "--device", device)
            name = f"{reference.parent.name} {case.get('name', len(ids))}"
            compare(name, found, case["last_logits"], case.get("argmax_per_position", []), greedy)
    for file in sorted(folder.rglob("*.gguf")):
        ids = [1] + [(at * 7919) % 250 + 5 for at in range(99)]
        exact = probe(binary, file, ids, 16, "--runner", "candle", "--device", "cpu")
        found = probe(binary, file, ids, 16, "--runner", "candle", "--device", device)
        compare(f"{file.name} (against the CPU)", found, exact["last_logits"], exact["argmax_per_position"], exact["greedy"])


def checkpoint(shape, work):
    import torch
    from transformers import ApertusConfig, ApertusForCausalLM

    hidden, inner, layers, heads, kv_heads, vocabulary = SHAPES[shape]
    rope = dict(rope_type="llama3", rope_theta=12e6, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                original_max_position_embeddings=8192)
    config = ApertusConfig(
        hidden_act="xielu", rms_norm_eps=1e-5, vocab_size=vocabulary, hidden_size=hidden, intermediate_size=inner,
        num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=kv_heads, max_position_embeddings=65536,
        tie_word_embeddings=False, rope_parameters=rope,
    )
    torch.manual_seed(7)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        model = ApertusForCausalLM(config)
    torch.set_default_dtype(torch.float32)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 2:
                weight.normal_(0.0, weight.shape[1] ** -0.5)
    model.save_pretrained(work, max_shard_size="4GB")
    del model
    torch.cuda.empty_cache()
    # As anyone would load it: rotary frequencies stay float32.
    return lambda dtype: ApertusForCausalLM.from_pretrained(work, dtype=dtype, attn_implementation="sdpa").to("cuda").eval()


def transformers_speed(model, prompt):
    import torch

    ids = torch.tensor([[1000 + (at * 7919) % 20000 for at in range(prompt)]], device="cuda") % model.config.vocab_size
    with torch.inference_mode():
        for _ in range(2):  # The first round warms up.
            torch.cuda.synchronize()
            begin = time.perf_counter()
            out = model(ids, use_cache=True, logits_to_keep=1)
            out.logits.argmax(-1).item()
            prefill = time.perf_counter() - begin
        cache, following = out.past_key_values, out.logits.argmax(-1)
        begin = time.perf_counter()
        for _ in range(GENERATED):
            out = model(following, past_key_values=cache, use_cache=True)
            following = out.logits.argmax(-1)
        following.item()
        decode = time.perf_counter() - begin
    return prompt / prefill, GENERATED / decode


def real_shape(binary, shape, work, device):
    import torch

    work = work / shape
    begin = time.perf_counter()
    load = checkpoint(shape, work)
    print(f"checkpoint of {sum(f.stat().st_size for f in work.glob('*.safetensors')) / 1e9:.1f} GB in {time.perf_counter() - begin:.0f} s")
    begin = time.perf_counter()
    model = load(torch.bfloat16)
    print(f"transformers loads in {time.perf_counter() - begin:.1f} s", flush=True)
    theirs = {prompt: transformers_speed(model, prompt) for prompt in (512, 2048)}
    del model
    torch.cuda.empty_cache()
    for prompt, (prefill, decode) in theirs.items():
        figures = ours(binary, "bench", "generate", "--model", work, "--device", device, "--dtype", "bf16", "--prompt", prompt,
                       "--generate", GENERATED)
        a, b = figures["prefill_tokens_per_second"], figures["decode_tokens_per_second"]
        print(f"{shape} bf16, prompt {prompt}: load {figures['load_seconds']:.1f} s; prefill {a:.0f} against {prefill:.0f} tokens/s "
              f"({a / prefill:.2f}); decode {b:.1f} against {decode:.1f} ({b / decode:.2f})", flush=True)
    ids = [(at * 7919) % 20000 % SHAPES[shape][5] for at in range(300)]
    for dtype in (torch.float32, torch.bfloat16):
        model = load(dtype)
        with torch.inference_mode():
            logits = model(torch.tensor([ids], device="cuda")).logits[0].float()
            greedy = model.generate(torch.tensor([ids], device="cuda"), max_new_tokens=16, do_sample=False, eos_token_id=-1)[0, len(ids):]
        del model
        torch.cuda.empty_cache()
        name = {torch.float32: "f32", torch.bfloat16: "bf16"}[dtype]
        found = probe(binary, work, ids, 16, "--dtype", name, "--device", device)
        compare(f"{shape} {name}, 300 tokens", found, logits[-1].tolist(), logits.argmax(-1).tolist(), greedy.tolist())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", required=True, help="the fontes binary, built with the feature cuda")
    parser.add_argument("--fixtures", type=pathlib.Path)
    parser.add_argument("--shape", choices=SHAPES)
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("/tmp/gpu"))
    parser.add_argument("--device", default="cuda")
    arguments = parser.parse_args()
    if arguments.fixtures:
        fixtures(arguments.ours, arguments.fixtures, arguments.device)
    if arguments.shape:
        real_shape(arguments.ours, arguments.shape, arguments.work, arguments.device)


if __name__ == "__main__":
    main()
