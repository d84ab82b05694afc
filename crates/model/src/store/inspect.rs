//! Recognises a model that someone brings: what it is for, its architecture, and which files belong to it.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{
    ModelRole, StoreError,
    install::{INDEX, OPTIONAL, SINGLE, shards},
    record::read_json,
};

/// A model found at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub role: ModelRole,
    pub architecture: String,
    /// The folder that holds the files.
    pub dir: PathBuf,
    /// Names of the files below it.
    pub files: Vec<String>,
}

/// Recognises the model at `path`: a GGUF file, or a folder with a checkpoint, one GGUF file, or an E5S1
/// container and its tokenizer.
pub(super) fn inspect(path: &Path) -> Result<Found, StoreError> {
    let metadata = fs::metadata(path).map_err(StoreError::io("open", path))?;
    if metadata.is_dir() { inspect_dir(path) } else { inspect_file(path) }
}

fn not_a_model(path: &Path, reason: impl Into<String>) -> StoreError {
    StoreError::NotAModel { path: path.to_owned(), reason: reason.into() }
}

fn inspect_file(path: &Path) -> Result<Found, StoreError> {
    let mut magic = [0; 4];
    let mut file = File::open(path).map_err(StoreError::io("open", path))?;
    file.read_exact(&mut magic).map_err(|_| not_a_model(path, "it is too short"))?;
    if &magic != b"GGUF" {
        return Err(not_a_model(path, "it is not a GGUF file"));
    }
    let architecture = gguf_architecture(BufReader::new(file)).map_err(|error| not_a_model(path, error.to_string()))?;
    let role = if architecture.contains("bert") { ModelRole::Embedder } else { ModelRole::Generator };
    let (dir, name) = match (path.parent(), path.file_name().and_then(|name| name.to_str())) {
        (Some(dir), Some(name)) => (dir.to_owned(), name.to_owned()),
        _ => return Err(not_a_model(path, "its name is not text")),
    };
    Ok(Found { role, architecture, dir, files: vec![name] })
}

/// Reads `general.architecture`, which by convention stands first in a GGUF file, after its magic.
fn gguf_architecture(mut file: impl Read) -> io::Result<String> {
    let mut header = [0; 20];
    file.read_exact(&mut header)?;
    let string = |file: &mut dyn Read| {
        let mut length = [0; 8];
        file.read_exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        if length > 256 {
            return Err(io::Error::other("its metadata does not begin with the architecture"));
        }
        let mut text = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        file.read_exact(&mut text)?;
        String::from_utf8(text).map_err(io::Error::other)
    };
    let key = string(&mut file)?;
    let mut kind = [0; 4];
    file.read_exact(&mut kind)?;
    if key != "general.architecture" || u32::from_le_bytes(kind) != 8 {
        return Err(io::Error::other("its metadata does not begin with the architecture"));
    }
    string(&mut file)
}

fn inspect_dir(dir: &Path) -> Result<Found, StoreError> {
    let Some(config) = read_json::<Value>(&dir.join("config.json"))? else { return inspect_bare_dir(dir) };
    let named = config.pointer("/architectures/0").or_else(|| config.get("model_type")).and_then(Value::as_str);
    let architecture = named.ok_or_else(|| not_a_model(dir, "config.json names no architecture"))?.to_owned();
    let role = role_of(&architecture).ok_or_else(|| not_a_model(dir, format!("{architecture} is not known")))?;
    let present = |name: &&str| dir.join(name).is_file();
    let mut files: Vec<String> =
        ["config.json", "tokenizer.json"].iter().chain(OPTIONAL).copied().filter(present).map(str::to_owned).collect();
    if !files.iter().any(|file| file == "tokenizer.json") {
        return Err(not_a_model(dir, "tokenizer.json is missing"));
    }
    if dir.join(INDEX).is_file() {
        files.push(INDEX.into());
        for shard in shards(&dir.join(INDEX))? {
            if !dir.join(&shard).is_file() {
                return Err(not_a_model(dir, format!("shard {shard} is missing")));
            }
            files.push(shard);
        }
    } else if dir.join(SINGLE).is_file() {
        files.push(SINGLE.into());
    } else {
        return Err(not_a_model(dir, format!("{SINGLE} is missing")));
    }
    Ok(Found { role, architecture, dir: dir.to_owned(), files })
}

/// The role of a `transformers` architecture name.
fn role_of(architecture: &str) -> Option<ModelRole> {
    let lower = architecture.to_lowercase();
    if lower.ends_with("forsequenceclassification") {
        Some(ModelRole::Reranker)
    } else if lower.ends_with("forcausallm") || lower.ends_with("forconditionalgeneration") {
        Some(ModelRole::Generator)
    } else if lower.contains("bert") {
        Some(ModelRole::Embedder)
    } else {
        None
    }
}

/// A folder without config.json: one GGUF file, or an E5S1 container with its tokenizer.
fn inspect_bare_dir(dir: &Path) -> Result<Found, StoreError> {
    let with_magic = |wanted: &[u8; 4]| -> Result<Vec<PathBuf>, StoreError> {
        let entries = fs::read_dir(dir).map_err(StoreError::io("read", dir))?;
        let mut found: Vec<_> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                let mut magic = [0; 4];
                File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && &magic == wanted
            })
            .collect();
        found.sort();
        Ok(found)
    };
    match with_magic(b"GGUF")?.as_slice() {
        [] => {}
        [only] => return inspect_file(only),
        _ => return Err(not_a_model(dir, "it holds several GGUF files: name one of them")),
    }
    let containers = with_magic(b"E5S1")?;
    let [container] = containers.as_slice() else { return Err(not_a_model(dir, "config.json is missing")) };
    if !dir.join("tokenizer.json").is_file() {
        return Err(not_a_model(dir, "tokenizer.json is missing"));
    }
    let name = container.file_name().and_then(|name| name.to_str()).ok_or_else(|| not_a_model(dir, "name"))?;
    let files = vec![name.to_owned(), "tokenizer.json".to_owned()];
    Ok(Found { role: ModelRole::Embedder, architecture: "BertModel".into(), dir: dir.to_owned(), files })
}
