//! The E5S1 container: multilingual-e5-small with its matrices in Q4_0 blocks, as one file.
//!
//! Little-endian, unaligned: magic, version, nine numbers of shape, a tokenizer (not used here: the model's own
//! `tokenizer.json` lies beside it), a normalisation map (skipped), a directory of tensors, then the tensors,
//! either f32 or ggml Q4_0. Every number is checked against the file before it is used; the file comes from
//! a package that strangers made.

use std::{collections::BTreeMap, ops::Range, path::Path};

use memmap2::Mmap;

use super::{
    EncoderError,
    config::{EncoderConfig, Family},
};
use crate::weights::{TensorView, WeightType, WeightsError, mmap};

/// First bytes of the file.
const MAGIC: &[u8; 4] = b"E5S1";
/// More tensors than a BERT of a thousand layers has.
const MOST_TENSORS: usize = 20_000;

/// An opened container.
#[derive(Debug)]
pub(super) struct Container {
    file: Mmap,
    layout: Layout,
}

/// What the header says, checked.
#[derive(Debug)]
struct Layout {
    config: EncoderConfig,
    /// Tensors by the names of `transformers`.
    tensors: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    dtype: WeightType,
    shape: Vec<usize>,
    bytes: Range<usize>,
}

impl Container {
    /// Maps and checks a container.
    pub fn open(path: &Path) -> Result<Self, EncoderError> {
        let file = mmap::map(path)?;
        let malformed = |reason: String| WeightsError::Malformed { path: path.to_owned(), reason };
        let layout = parse(&file).map_err(malformed)?;
        layout.config.check()?;
        Ok(Self { file, layout })
    }

    /// The shape of the encoder.
    pub fn config(&self) -> &EncoderConfig {
        &self.layout.config
    }

    /// Finds a tensor by its name in `transformers`.
    pub fn tensor(&self, name: &str) -> Result<TensorView<'_>, WeightsError> {
        let found = self.layout.tensors.get_key_value(name);
        let (name, entry) = found.ok_or_else(|| WeightsError::MissingTensor { tensor: name.to_owned() })?;
        let bytes = &self.file[entry.bytes.clone()];
        Ok(TensorView { name, dtype: entry.dtype, shape: &entry.shape, bytes })
    }
}

/// Reads numbers from the front of a byte slice.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| format!("the header passes the end of the file at byte {}", self.at))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.take(N).map(|bytes| bytes.try_into().expect("take gives exactly as many bytes as asked for"))
    }

    fn u16(&mut self) -> Result<u16, String> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, String> {
        self.array().map(u64::from_le_bytes)
    }

    /// A count: an i32 that is not negative and not above `most`.
    fn count(&mut self, what: &str, most: usize) -> Result<usize, String> {
        let value = self.u32()? as usize;
        if value > most { Err(format!("{what} of {value} is absurd")) } else { Ok(value) }
    }

    fn skip(&mut self, count: u64) -> Result<(), String> {
        let count = usize::try_from(count).map_err(|_| "a length is absurd".to_owned())?;
        self.take(count).map(drop)
    }
}

/// Parses and checks the header. The reason of a refusal is about the file, which the caller names.
fn parse(file: &[u8]) -> Result<Layout, String> {
    let mut cursor = Cursor { bytes: file, at: 0 };
    if &cursor.array::<4>()? != MAGIC {
        return Err("it does not begin with E5S1".into());
    }
    let version = cursor.u32()?;
    if version != 1 {
        return Err(format!("version {version} is not known, only 1"));
    }
    let config = parse_config(&mut cursor)?;
    skip_tokenizer(&mut cursor)?;
    let count = cursor.count("number of tensors", MOST_TENSORS)?;
    let mut tensors = BTreeMap::new();
    for _ in 0..count {
        let (name, entry) = parse_entry(&mut cursor, &config)?;
        if let Some(name) = name
            && tensors.insert(name.clone(), entry).is_some()
        {
            return Err(format!("tensor {name:?} occurs twice"));
        }
    }
    Ok(Layout { config, tensors })
}

fn parse_config(cursor: &mut Cursor<'_>) -> Result<EncoderConfig, String> {
    let most = 1 << 24;
    let config = EncoderConfig {
        family: Family::Bert,
        hidden: cursor.count("width", most)?,
        layers: cursor.count("number of layers", 1000)?,
        heads: cursor.count("number of heads", most)?,
        feed_forward: cursor.count("feed-forward width", most)?,
        vocabulary: cursor.count("vocabulary", most)?,
        positions: cursor.count("number of positions", most)?,
        token_types: cursor.count("number of token types", most)?,
        epsilon: f32::from_bits(cursor.u32()?),
        first_position: 0,
        labels: 0,
        entailment: None,
    };
    let block = cursor.u32()?;
    if block != 32 { Err(format!("blocks of {block} weights are not known, only 32")) } else { Ok(config) }
}

/// Skips pieces, scores and the normalisation map.
fn skip_tokenizer(cursor: &mut Cursor<'_>) -> Result<(), String> {
    let pieces = u64::from(cursor.u32()?);
    cursor.skip(4 * 4)?;
    let text = cursor.u64()?;
    cursor.skip((pieces + 1) * 4 + pieces * 4)?;
    cursor.skip(text)?;
    let _entries = cursor.u32()?;
    let map = u64::from(cursor.u32()?);
    cursor.skip(map)
}

/// Reads one entry of the directory; no name for a tensor that is not part of the encoder.
fn parse_entry(cursor: &mut Cursor<'_>, config: &EncoderConfig) -> Result<(Option<String>, Entry), String> {
    let length = usize::from(cursor.u16()?);
    let short = std::str::from_utf8(cursor.take(length)?).map_err(|_| "a tensor's name is not text".to_owned())?;
    let [code] = cursor.array::<1>()?;
    let dtype = match code {
        0 => WeightType::F32,
        1 => WeightType::Q4_0,
        _ => return Err(format!("tensor {short:?} has the unknown type {code}")),
    };
    let elements = cursor.u32()? as usize;
    let (offset, size) = (cursor.u64()?, cursor.u64()?);
    let inside = |offset: u64, size: u64| {
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        (end <= cursor.bytes.len()).then_some(start..end)
    };
    let bytes = inside(offset, size).ok_or_else(|| format!("tensor {short:?} passes the end of the file"))?;
    if dtype.byte_len(elements) != Some(bytes.len()) {
        return Err(format!("tensor {short:?} of {elements} elements does not fill its {size} bytes"));
    }
    let named = long_name(short, config);
    if let Some((_, shape)) = &named
        && shape.iter().try_fold(1_usize, |product, size| product.checked_mul(*size)) != Some(elements)
    {
        return Err(format!("tensor {short:?} has {elements} elements, not {shape:?}"));
    }
    let (name, shape) = named.map_or((None, vec![elements]), |(name, shape)| (Some(name), shape));
    Ok((name, Entry { dtype, shape, bytes }))
}

/// The name in `transformers`, and the shape, of a tensor of the container.
fn long_name(short: &str, config: &EncoderConfig) -> Option<(String, Vec<usize>)> {
    let (hidden, wide) = (config.hidden, config.feed_forward);
    let whole = |name: &str, shape: &[usize]| Some((name.to_owned(), shape.to_vec()));
    match short {
        "emb.word" => return whole("embeddings.word_embeddings.weight", &[config.vocabulary, hidden]),
        "emb.pos" => return whole("embeddings.position_embeddings.weight", &[config.positions, hidden]),
        "emb.type" => return whole("embeddings.token_type_embeddings.weight", &[config.token_types, hidden]),
        "emb.ln.w" => return whole("embeddings.LayerNorm.weight", &[hidden]),
        "emb.ln.b" => return whole("embeddings.LayerNorm.bias", &[hidden]),
        _ => {}
    }
    let (layer, part) = short.strip_prefix('l')?.split_once('.')?;
    let layer: usize = layer.parse().ok().filter(|layer| *layer < config.layers)?;
    let (part, kind) = part.rsplit_once('.')?;
    let (place, rows, columns) = match part {
        "q" => ("attention.self.query", hidden, hidden),
        "k" => ("attention.self.key", hidden, hidden),
        "v" => ("attention.self.value", hidden, hidden),
        "ao" => ("attention.output.dense", hidden, hidden),
        "aln" => ("attention.output.LayerNorm", hidden, 0),
        "fi" => ("intermediate.dense", wide, hidden),
        "fo" => ("output.dense", hidden, wide),
        "oln" => ("output.LayerNorm", hidden, 0),
        _ => return None,
    };
    let (kind, shape) = match kind {
        "w" if columns > 0 => ("weight", vec![rows, columns]),
        "w" => ("weight", vec![rows]),
        "b" => ("bias", vec![rows]),
        _ => return None,
    };
    Some((format!("encoder.layer.{layer}.{place}.{kind}"), shape))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A container of one tensor, `emb.ln.w` of 8 ones.
    fn tiny() -> Vec<u8> {
        let mut file = b"E5S1".to_vec();
        for number in [1_u32, 8, 1, 2, 16, 10, 32, 2] {
            file.extend(number.to_le_bytes());
        }
        file.extend(1e-12_f32.to_le_bytes());
        for number in [32_u32, 0, 0, 2, 1, 3] {
            file.extend(number.to_le_bytes());
        }
        file.extend(0_u64.to_le_bytes());
        for number in [0_u32, 0, 0, 1] {
            file.extend(number.to_le_bytes());
        }
        file.extend(8_u16.to_le_bytes());
        file.extend(b"emb.ln.w\0");
        file.extend(8_u32.to_le_bytes());
        let offset = file.len() as u64 + 16;
        file.extend(offset.to_le_bytes());
        file.extend(32_u64.to_le_bytes());
        file.extend([1.0_f32; 8].iter().flat_map(|one| one.to_le_bytes()));
        file
    }

    #[test]
    fn a_container_is_read() {
        let file = tiny();
        let layout = parse(&file).unwrap();
        assert_eq!((layout.config.hidden, layout.config.heads, layout.config.positions), (8, 2, 32));
        let entry = &layout.tensors["embeddings.LayerNorm.weight"];
        assert_eq!((entry.dtype, entry.shape.as_slice()), (WeightType::F32, &[8][..]));
        assert_eq!(file[entry.bytes.clone()], [1.0_f32; 8].iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn a_hostile_container_is_an_error_and_never_a_crash(
            damage in proptest::collection::vec((0_usize..200, any::<u8>()), 1..6),
            cut in 0_usize..200,
        ) {
            let mut file = tiny();
            for (at, value) in damage {
                let at = at % file.len();
                file[at] = value;
            }
            file.truncate(file.len() - cut % file.len());
            if let Ok(layout) = parse(&file) {
                for entry in layout.tensors.values() {
                    prop_assert!(entry.bytes.end <= file.len());
                    prop_assert_eq!(entry.dtype.byte_len(entry.shape.iter().product()), Some(entry.bytes.len()));
                }
            }
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let file = tiny();
        for length in 0..file.len() {
            assert!(parse(&file[..length]).is_err(), "{length}");
        }
    }
}
