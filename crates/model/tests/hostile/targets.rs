//! What is done with each kind of file: everything that the program does with one on its way to an answer.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use fontes_core::{
    Digest, Message, Role, Vocabulary as _,
    seam::{EmbedAs, Embedder as _},
};
use fontes_model::{
    chat::{ChatFormat, ChatOptions, Template},
    decoder::{self, Logits, OpenOptions, Runner},
    encoder,
    store::{DigestPolicy, InstalledFile, InstalledModel, ModelRole},
    tokenizer::TextTokenizer,
    weights::TensorSource,
};

/// A kind of file.
pub struct Target {
    pub name: &'static str,
    /// Whether mutations should know text.
    pub text: bool,
    /// Valid files, from the fixtures.
    pub seeds: fn(&Path) -> Vec<Vec<u8>>,
    /// Writes the bytes into the folder and opens them.
    pub run: fn(&Path, &[u8]),
}

pub const TARGETS: [Target; 6] = [
    Target { name: "gguf", text: false, seeds: gguf_seeds, run: gguf },
    Target { name: "safetensors", text: true, seeds: safetensors_seeds, run: safetensors },
    Target { name: "config", text: true, seeds: config_seeds, run: config },
    Target { name: "tokenizer", text: true, seeds: tokenizer_seeds, run: tokenizer },
    Target { name: "template", text: true, seeds: template_seeds, run: template },
    Target { name: "e5s1", text: false, seeds: e5s1_seeds, run: e5s1 },
];

/// A network of the tests takes far less; a header that asks for more is refused before anything is allocated.
const MEMORY: u64 = 64 << 20;

const TEXT: &str = "Zürich <|user_end|> 1848\n\n  x </s> \u{1F1E8}\u{1F1ED} <0x41>\u{2581}";

/// The fixtures, from wherever this is compiled.
pub fn fixtures() -> PathBuf {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    above.map(|folder| folder.join("tests/fixtures")).find(|folder| folder.join("apertus").is_dir()).unwrap()
}

fn run_network(source: TensorSource, runner: Runner) {
    let options = OpenOptions { runner, max_memory: Some(MEMORY), ..OpenOptions::default() };
    let Ok(network) = decoder::load(Arc::new(source), &options) else { return };
    let last = network.input_size().saturating_sub(1) as u32;
    if let Ok(mut session) = network.session(4) {
        let _ = session.forward(&[0, 1.min(last), last], Logits::All);
    }
}

fn use_tokenizer(tokenizer: &TextTokenizer) {
    for id in tokenizer.encode_text(TEXT) {
        assert!(!tokenizer.is_control(id) || tokenizer.unknown() == Some(id), "text became control token {id}");
    }
    let _ = tokenizer.token_bytes(tokenizer.len() as u32);
}

fn gguf_seeds(fixtures: &Path) -> Vec<Vec<u8>> {
    ["q8_0", "q4_k_m"]
        .iter()
        .map(|name| fs::read(fixtures.join(format!("apertus/gguf/{name}.gguf"))).unwrap())
        .collect()
}

pub fn gguf(folder: &Path, bytes: &[u8]) {
    let path = folder.join("model.gguf");
    fs::write(&path, bytes).unwrap();
    let Ok(source) = TensorSource::open(&path) else { return };
    if let Some(metadata) = source.metadata()
        && let Ok(tokenizer) = TextTokenizer::from_gguf(&metadata)
    {
        use_tokenizer(&tokenizer);
    }
    // The runners take turns, so that both are reached in little time.
    run_network(source, if bytes.len().is_multiple_of(2) { Runner::Cpu } else { Runner::Candle });
}

/// The header comes with its weights.
fn safetensors_seeds(fixtures: &Path) -> Vec<Vec<u8>> {
    vec![fs::read(fixtures.join("apertus/odd/model-00001-of-00003.safetensors")).unwrap()]
}

pub fn safetensors(folder: &Path, bytes: &[u8]) {
    fs::write(folder.join("model.safetensors"), bytes).unwrap();
    fs::write(folder.join("config.json"), br#"{"model_type":"llama"}"#).unwrap();
    let Ok(source) = TensorSource::open(folder) else { return };
    for name in source.names() {
        let view = source.tensor(name).unwrap();
        assert!(view.dtype.byte_len(view.elements()) == Some(view.bytes.len()), "{name}");
    }
}

fn config_seeds(fixtures: &Path) -> Vec<Vec<u8>> {
    ["odd", "gemma3", "qwen2"]
        .iter()
        .map(|name| fs::read(fixtures.join(format!("apertus/{name}/config.json"))).unwrap())
        .collect()
}

/// A configuration beside weights that it may contradict.
pub fn config(folder: &Path, bytes: &[u8]) {
    let fixtures = fixtures().join("apertus/odd");
    if !folder.join("model.safetensors.index.json").exists() {
        for entry in fs::read_dir(fixtures).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
        }
    }
    fs::write(folder.join("config.json"), bytes).unwrap();
    if let Ok(source) = TensorSource::open(folder) {
        run_network(source, Runner::Candle);
    }
}

fn tokenizer_seeds(fixtures: &Path) -> Vec<Vec<u8>> {
    ["apertus/tiny", "encoders/bert", "encoders/xlm-roberta"]
        .iter()
        .map(|name| fs::read(fixtures.join(name).join("tokenizer.json")).unwrap())
        .collect()
}

pub fn tokenizer(folder: &Path, bytes: &[u8]) {
    // Written for whoever has to look at what ended the process.
    fs::write(folder.join("tokenizer.json"), bytes).unwrap();
    if let Ok(tokenizer) = TextTokenizer::from_json(bytes) {
        use_tokenizer(&tokenizer);
    }
}

const TEMPLATES: [&str; 2] = [
    "{{ bos_token }}{% for message in messages %}{% if message.role == 'system' %}<<{{ message.content | trim }}>>\
     {% elif loop.index0 % 2 == 1 %}[{{ message['content'] }}]{% else %}({{ message.content }}){% endif %}{% endfor %}\
     {% if add_generation_prompt %}{{ eos_token }}assistant:{% endif %}",
    "{%- set ns = namespace(found=false) -%}{%- macro turn(m) -%}<|{{ m.role }}|>{{ m.content }}{%- endmacro -%}\
     {%- for m in messages -%}{%- set ns.found = true -%}{{ turn(m) }}{%- endfor -%}{{ messages[-1].role.upper() }}\
     {%- if not ns.found -%}{{ raise_exception('nothing') }}{%- endif -%}{{ strftime_now('%d %B %Y') }}",
];

fn template_seeds(_: &Path) -> Vec<Vec<u8>> {
    TEMPLATES.iter().map(|template| template.as_bytes().to_vec()).collect()
}

pub fn template(folder: &Path, bytes: &[u8]) {
    fs::write(folder.join("chat_template.jinja"), bytes).unwrap();
    thread_local! {
        static TOKENIZER: TextTokenizer =
            TextTokenizer::from_json(include_bytes!("../../../../tests/fixtures/apertus/tiny/tokenizer.json")).unwrap();
    }
    TOKENIZER.with(|tokenizer| {
        let Ok(template) = Template::compile(&String::from_utf8_lossy(bytes), tokenizer) else { return };
        let messages = [Message::text(Role::System, "be brief"), Message::text(Role::User, TEXT)];
        let options = ChatOptions { thinking: true, now: Some(std::time::SystemTime::UNIX_EPOCH) };
        let _ = ChatFormat::Template(Box::new(template)).prompt(tokenizer, &messages, options);
    });
}

/// A whole container of one layer, 32 wide, all numbers small, some matrices quantised.
fn e5s1_seeds(_: &Path) -> Vec<Vec<u8>> {
    let mut tensors: Vec<(String, usize, bool)> = vec![
        ("emb.word".into(), 64 * 32, true),
        ("emb.pos".into(), 16 * 32, false),
        ("emb.type".into(), 2 * 32, false),
        ("emb.ln.w".into(), 32, false),
        ("emb.ln.b".into(), 32, false),
    ];
    for part in ["q", "k", "v", "ao", "fi", "fo"] {
        tensors.push((format!("l0.{part}.w"), 32 * 32, true));
        tensors.push((format!("l0.{part}.b"), 32, false));
    }
    for part in ["aln", "oln"] {
        tensors.extend(["w", "b"].map(|kind| (format!("l0.{part}.{kind}"), 32, false)));
    }
    let mut file = b"E5S1".to_vec();
    let push = |file: &mut Vec<u8>, numbers: &[u32]| numbers.iter().for_each(|n| file.extend(n.to_le_bytes()));
    push(&mut file, &[1, 32, 1, 2, 32, 64, 16, 2, 1e-12_f32.to_bits(), 32]);
    push(&mut file, &[0, 0, 2, 1, 3, 0, 0, 0, 0, 0, tensors.len() as u32]);
    let directory: usize = tensors.iter().map(|(name, ..)| 2 + name.len() + 1 + 4 + 16).sum();
    let mut data = Vec::new();
    let start = file.len() + directory;
    for (name, elements, quantised) in &tensors {
        let at = start + data.len();
        if *quantised {
            // A scale of 0.01 and sixteen bytes of nibbles per 32 numbers.
            (0..elements / 32).for_each(|block| {
                data.extend([0x1F, 0x21]);
                data.extend((0..16).map(|i| (block * 31 + i * 7) as u8));
            });
        } else {
            data.extend((0..*elements).flat_map(|i| (0.5 + (i % 7) as f32 * 0.1).to_le_bytes()));
        }
        file.extend((name.len() as u16).to_le_bytes());
        file.extend(name.as_bytes());
        file.push(u8::from(*quantised));
        push(&mut file, &[*elements as u32]);
        file.extend((at as u64).to_le_bytes());
        file.extend(((start + data.len() - at) as u64).to_le_bytes());
    }
    assert_eq!(file.len(), start);
    file.extend(data);
    vec![file]
}

pub fn e5s1(folder: &Path, bytes: &[u8]) {
    let tokenizer = folder.join("tokenizer.json");
    if !tokenizer.exists() {
        let source = fixtures().join("encoders/bert/tokenizer.json");
        fs::copy(source, &tokenizer).unwrap();
    }
    fs::write(folder.join("model.bin"), bytes).unwrap();
    let file =
        |name: &str| InstalledFile { name: name.into(), bytes: 0, sha256: Digest::of(b""), source: String::new() };
    let model = InstalledModel {
        name: "e5".into(),
        role: ModelRole::Embedder,
        dir: folder.to_owned(),
        files: vec![file("model.bin"), file("tokenizer.json")],
        sha256: Digest::of(b""),
        architecture: "BertModel".into(),
        license: "unknown".into(),
        note: None,
        digest: DigestPolicy::OnInstall,
        embedding: None,
    };
    let options = encoder::EncoderOptions { threads: 1, ..encoder::EncoderOptions::default() };
    if let Ok(embedder) = encoder::open_embedder(&model, &options) {
        let _ = embedder.embed(&["who?"], EmbedAs::Query);
    }
}
