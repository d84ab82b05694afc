"""Writes an Apertus GGUF of a real shape with random weights, for measuring speed.

    python random_model.py 1.2b /tmp/1.2b.gguf          2,048 wide, 20 layers
    python random_model.py 8b-8l /tmp/8b-8l.gguf        the 8B's width, 8 of its 32 layers
    python random_model.py 8b /tmp/8b.gguf              the whole 8B, 4.9 GB
    python random_model.py 1.2b /tmp/1.2b-q8.gguf q8_0

Needs numpy and gguf (PyPI). Blocks are random bits with fixed scales, so that a gigabyte is written in seconds; the types
of the tensors are those that llama.cpp's Q4_K_M chooses.
"""

import sys

import gguf
import numpy as np

SHAPES = {  # hidden, intermediate, layers, heads, key/value heads, vocabulary
    "1.2b": (2048, 10752, 20, 16, 4, 131072),
    "8b-8l": (4096, 21504, 8, 32, 8, 131072),
    "8b": (4096, 21504, 32, 32, 8, 131072),
    "mini": (512, 1024, 2, 4, 2, 1024),
}
HEAD_DIM = 128
Q = gguf.GGMLQuantizationType
RANDOM = np.random.default_rng(7)


def half(value):
    return np.frombuffer(np.float16(value).tobytes(), dtype=np.uint8)


def blocks(kind, count):
    """Random blocks whose weights have a standard deviation of about 0.02 and mean zero."""
    size = {Q.Q4_K: 144, Q.Q6_K: 210, Q.Q8_0: 34}[kind]
    data = RANDOM.integers(0, 256, (count, size), dtype=np.uint8)
    if kind == Q.Q4_K:
        # All scales and minima 32 (six bits, packed); the minimum takes off the mean of 0…15.
        data[:, 0:2], data[:, 2:4] = half(1.36e-4), half(1.36e-4 * 7.5)
        data[:, 4:12], data[:, 12:16] = 0xA0, 0
    elif kind == Q.Q6_K:
        data[:, 192:208], data[:, 208:210] = 16, half(6.7e-5)
    else:
        data[:, 0:2] = half(0.02 / 74)
    return data


def main():
    name, path = sys.argv[1], sys.argv[2]
    plain = len(sys.argv) > 3 and sys.argv[3] == "q8_0"
    hidden, inner, layers, heads, kv_heads, vocabulary = SHAPES[name]
    out = gguf.GGUFWriter(path, "apertus")
    out.add_name(f"random {name}")
    out.add_block_count(layers)
    out.add_context_length(65536)
    out.add_embedding_length(hidden)
    out.add_feed_forward_length(inner)
    out.add_head_count(heads)
    out.add_head_count_kv(kv_heads)
    out.add_key_length(HEAD_DIM)
    out.add_value_length(HEAD_DIM)
    out.add_rope_freq_base(12e6)
    out.add_rope_dimension_count(HEAD_DIM)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_vocab_size(vocabulary)
    out.add_file_type(7 if plain else 15)
    for key, value in (("alpha_p", 0.5), ("alpha_n", 0.5), ("beta", 0.5), ("eps", -1e-6)):
        out.add_array(f"xielu.{key}", [value] * layers)
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("tekken")
    # The printable stand-ins of the 256 bytes first, so that any text can be encoded.
    bytes_as_text = [chr(b) for b in (*range(33, 127), *range(161, 173), *range(174, 256))]
    bytes_as_text += [chr(256 + i) for i in range(256 - len(bytes_as_text))]
    tokens = bytes_as_text + [f"token{i}" for i in range(256, vocabulary)]
    out.add_token_list(tokens)
    out.add_token_types([1] * vocabulary)
    out.add_token_merges(["t o"])
    out.add_bos_token_id(300)
    out.add_eos_token_id(301)

    tensors = {}

    def matrix(name, rows, columns, kind):
        kind = Q.Q8_0 if plain else kind
        per_row = columns // gguf.GGML_QUANT_SIZES[kind][0]
        tensors[name] = (rows * per_row, rows, kind)
        size = gguf.GGML_QUANT_SIZES[kind][1]
        out.add_tensor_info(name, (rows, per_row * size), np.dtype(np.uint8), rows * per_row * size, kind)

    def vector(name, size):
        tensors[name] = (0, size, None)
        out.add_tensor_info(name, (size,), np.dtype(np.float32), 4 * size)

    matrix("token_embd.weight", vocabulary, hidden, Q.Q4_K)
    for layer in range(layers):
        # llama.cpp's `use_more_bits`.
        eighth = layers // 8
        more = layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2
        fine = Q.Q6_K if more else Q.Q4_K
        prefix = f"blk.{layer}."
        vector(prefix + "attn_norm.weight", hidden)
        vector(prefix + "ffn_norm.weight", hidden)
        vector(prefix + "attn_q_norm.weight", HEAD_DIM)
        vector(prefix + "attn_k_norm.weight", HEAD_DIM)
        matrix(prefix + "attn_q.weight", heads * HEAD_DIM, hidden, Q.Q4_K)
        matrix(prefix + "attn_k.weight", kv_heads * HEAD_DIM, hidden, Q.Q4_K)
        matrix(prefix + "attn_v.weight", kv_heads * HEAD_DIM, hidden, fine)
        matrix(prefix + "attn_output.weight", hidden, heads * HEAD_DIM, Q.Q4_K)
        matrix(prefix + "ffn_up.weight", inner, hidden, Q.Q4_K)
        matrix(prefix + "ffn_down.weight", hidden, inner, fine)
    vector("output_norm.weight", hidden)
    matrix("output.weight", vocabulary, hidden, Q.Q6_K)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_ti_data_to_file()
    for count, rows, kind in tensors.values():
        if kind is None:
            out.write_tensor_data(np.ones(rows, dtype=np.float32))
        else:
            out.write_tensor_data(blocks(kind, count).reshape(rows, -1))
    out.close()


main()
