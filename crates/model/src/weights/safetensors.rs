//! Safetensors directories: the index of shards, and the header of each shard.
//!
//! Format: <https://huggingface.co/docs/safetensors>. A file is a length (u64), a JSON object and one buffer that
//! the tensors fill without gap or overlap. The header is parsed here and not by the `safetensors` crate, whose
//! end-of-buffer sum can wrap on a hostile header and whose map silently keeps the last of duplicate names.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Component, Path, PathBuf},
};

use memmap2::Mmap;
use serde::{
    Deserialize,
    de::{IgnoredAny, MapAccess, Visitor},
};

use super::{WeightType, WeightsError, source::Entry};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Longest header, as in the reference implementation.
const MAX_HEADER: u64 = 100_000_000;

/// Longest `config.json` or index; the index of a 70B checkpoint has under 100 kB.
const MAX_JSON: u64 = 64 << 20;

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Reads a JSON file of bounded size.
pub(super) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, WeightsError> {
    let io = |source| WeightsError::Io { path: path.to_owned(), source };
    let size = std::fs::metadata(path).map_err(io)?.len();
    if size > MAX_JSON {
        return Err(malformed(path, format!("{size} bytes are too many for a JSON file of a checkpoint")));
    }
    let text = std::fs::read(path).map_err(io)?;
    serde_json::from_slice(&text).map_err(|source| WeightsError::Json { path: path.to_owned(), source })
}

/// Lists the weight files of a checkpoint directory, sorted.
pub(super) fn shards(directory: &Path) -> Result<Vec<PathBuf>, WeightsError> {
    let index = directory.join(INDEX);
    if !index.exists() {
        let single = directory.join(SINGLE);
        return if single.exists() {
            Ok(vec![single])
        } else {
            let reason = "no model.safetensors and no model.safetensors.index.json";
            Err(WeightsError::NotAModel { path: directory.to_owned(), reason })
        };
    }
    let names: BTreeSet<String> = read_json::<Index>(&index)?.weight_map.into_values().collect();
    names.into_iter().map(|name| shard_path(directory, &index, name)).collect()
}

/// A shard lies in the directory itself: a name with a path in it would reach other files of the machine.
fn shard_path(directory: &Path, index: &Path, name: String) -> Result<PathBuf, WeightsError> {
    let mut parts = Path::new(&name).components();
    if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
        return Err(malformed(index, format!("shard name {name:?} is not a plain file name")));
    }
    let path = directory.join(&name);
    if path.exists() { Ok(path) } else { Err(WeightsError::MissingShard { shard: name }) }
}

/// Collects the tensors of all shards, and compares them with the index.
pub(super) fn collect(directory: &Path, files: &[(PathBuf, Mmap)]) -> Result<BTreeMap<String, Entry>, WeightsError> {
    let mut tensors = BTreeMap::new();
    for (number, (path, file)) in files.iter().enumerate() {
        for (name, mut entry) in parse(file).map_err(|reason| malformed(path, reason))? {
            entry.file = number;
            if tensors.insert(name.clone(), entry).is_some() {
                return Err(malformed(path, format!("tensor {name:?} is in two shards")));
            }
        }
    }
    let index = directory.join(INDEX);
    if index.exists() {
        for tensor in read_json::<Index>(&index)?.weight_map.into_keys() {
            // Tensors of types that a decoder never has (integers, 8-bit floats) were left out above.
            if !tensors.contains_key(&tensor) && !files.iter().any(|(_, file)| names(file).contains(&tensor)) {
                return Err(WeightsError::MissingTensor { tensor });
            }
        }
    }
    Ok(tensors)
}

fn malformed(path: &Path, reason: String) -> WeightsError {
    WeightsError::Malformed { path: path.to_owned(), reason }
}

#[derive(Deserialize)]
struct RawEntry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// The header's entries in order, duplicates kept so that they can be refused.
struct RawHeader(Vec<(String, RawEntry)>);

impl<'de> Deserialize<'de> for RawHeader {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = RawHeader;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawHeader, A::Error> {
                let mut entries = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        entries.push((name, map.next_value()?));
                    }
                }
                Ok(RawHeader(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

fn raw_header(file: &[u8]) -> Result<(Vec<(String, RawEntry)>, usize), String> {
    let length =
        file.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes)).ok_or("shorter than its length field")?;
    if length > MAX_HEADER {
        return Err(format!("a header of {length} bytes is too long"));
    }
    let start = 8 + length as usize;
    let header =
        file.get(8..start).ok_or_else(|| format!("the header of {length} bytes passes the end of the file"))?;
    let RawHeader(entries) = serde_json::from_slice(header).map_err(|error| format!("the header: {error}"))?;
    Ok((entries, start))
}

/// Every tensor name in the header, whatever its type; only used when the index does not match.
fn names(file: &[u8]) -> BTreeSet<String> {
    raw_header(file).map(|(entries, _)| entries.into_iter().map(|(name, _)| name).collect()).unwrap_or_default()
}

/// Parses and checks one file. Tensors of types outside [`WeightType`] are checked and left out.
///
/// The reason of a refusal is returned as text: it is about the file, which the caller names.
pub(super) fn parse(file: &[u8]) -> Result<Vec<(String, Entry)>, String> {
    let (mut entries, start) = raw_header(file)?;
    entries.sort_by_key(|(_, entry)| entry.data_offsets);
    let mut seen = BTreeSet::new();
    let mut expected = 0_u64;
    let mut tensors = Vec::new();
    for (name, raw) in entries {
        if !seen.insert(name.clone()) {
            return Err(format!("tensor {name:?} occurs twice"));
        }
        let (from, to) = raw.data_offsets;
        if from != expected || to < from {
            return Err(format!("tensor {name:?} lies at {from}..{to}, expected from {expected}: overlap or gap"));
        }
        expected = to;
        let bits =
            element_bits(&raw.dtype).ok_or_else(|| format!("tensor {name:?} has the unknown type {:?}", raw.dtype))?;
        let elements = raw.shape.iter().try_fold(1_u64, |product, &dim| product.checked_mul(dim));
        let bytes =
            elements.and_then(|count| count.checked_mul(bits)).filter(|bits| bits % 8 == 0).map(|bits| bits / 8);
        if bytes != Some(to - from) {
            return Err(format!("tensor {name:?} of shape {:?} does not fill its {} bytes", raw.shape, to - from));
        }
        if let Some(dtype) = weight_type(&raw.dtype) {
            // The sum of all lengths is compared with the file below, so these fit the address space.
            let shape = raw.shape.iter().map(|&dim| dim as usize).collect();
            let bytes = start.wrapping_add(from as usize)..start.wrapping_add(to as usize);
            tensors.push((name, Entry { dtype, shape, file: 0, bytes }));
        }
    }
    if expected != (file.len() - start) as u64 {
        let present = file.len() - start;
        return Err(format!("the tensors need {expected} bytes and {present} are there: truncated or padded"));
    }
    Ok(tensors)
}

fn weight_type(dtype: &str) -> Option<WeightType> {
    match dtype {
        "F32" => Some(WeightType::F32),
        "F16" => Some(WeightType::F16),
        "BF16" => Some(WeightType::BF16),
        _ => None,
    }
}

fn element_bits(dtype: &str) -> Option<u64> {
    Some(match dtype {
        "F4" => 4,
        "F6_E2M3" | "F6_E3M2" => 6,
        "BOOL" | "U8" | "I8" | "F8_E5M2" | "F8_E4M3" | "F8_E8M0" => 8,
        "I16" | "U16" | "F16" | "BF16" => 16,
        "I32" | "U32" | "F32" => 32,
        "C64" | "F64" | "I64" | "U64" => 64,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(header: &str, data: usize) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &vec![0; data]].concat()
    }

    const VALID: &str = r#"{"__metadata__":{"format":"pt"},"b":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]},"n":{"dtype":"I64","shape":[1],"data_offsets":[12,20]},"a":{"dtype":"F32","shape":[],"data_offsets":[20,24]}}"#;

    #[test]
    fn a_valid_file_is_read_and_foreign_types_are_left_out() {
        let tensors = parse(&file(VALID, 24)).unwrap();
        let names: Vec<_> = tensors.iter().map(|(name, entry)| (name.as_str(), entry.shape.clone())).collect();
        assert_eq!(names, [("b", vec![2, 3]), ("a", vec![])]);
        assert_eq!(names_of(&file(VALID, 24)), ["a", "b", "n"]);
    }

    fn names_of(file: &[u8]) -> Vec<String> {
        names(file).into_iter().collect()
    }

    #[test]
    fn false_headers_are_refused() {
        let entry = |shape: &str, from: u64, to: u64| {
            format!(r#"{{"dtype":"F32","shape":{shape},"data_offsets":[{from},{to}]}}"#)
        };
        let one = |shape: &str, from, to| format!(r#"{{"t":{}}}"#, entry(shape, from, to));
        for (bytes, reason) in [
            (vec![1, 2, 3], "shorter than its length field"),
            (u64::MAX.to_le_bytes().to_vec(), "too long"),
            (1000_u64.to_le_bytes().to_vec(), "passes the end"),
            (file("[]", 0), "the header"),
            (file("{", 0), "the header"),
            (file(&"[".repeat(10_000), 0), "the header"),
            (file(&one("[4]", 0, 12), 12), "does not fill"),
            (file(&one("[4]", 4, 20), 20), "overlap or gap"),
            (file(&one("[4]", 16, 0), 16), "overlap or gap"),
            (file(&one("[4]", 0, 16), 12), "truncated or padded"),
            (file(&one("[4]", 0, 16), 20), "truncated or padded"),
            (file(&one("[4294967296,4294967296]", 0, 0), 0), "does not fill"),
            (file(&one("[2305843009213693952]", 0, u64::MAX), 8), "does not fill"),
            (file(&one("[-1]", 0, 4), 4), "the header"),
            (file(&format!(r#"{{"t":{0},"t":{1}}}"#, entry("[1]", 0, 4), entry("[1]", 4, 8)), 8), "occurs twice"),
            (file(&one("[1]", 0, 4).replace("F32", "F33"), 4), "unknown type"),
        ] {
            let found = parse(&bytes).unwrap_err();
            assert!(found.contains(reason), "wanted {reason:?}, found {found:?}");
        }
        assert!((0..file(VALID, 24).len()).all(|length| parse(&file(VALID, 24)[..length]).is_err()));
    }

    proptest! {
        #[test]
        fn mutations_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
            let mut bytes = file(VALID, 24);
            for (position, value) in changes {
                let position = position.index(bytes.len());
                bytes[position] = value;
            }
            for (_, entry) in parse(&bytes).unwrap_or_default() {
                prop_assert!(bytes.get(entry.bytes).is_some());
            }
        }
    }
}
