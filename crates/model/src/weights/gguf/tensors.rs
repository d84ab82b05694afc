//! The tensor directory of a GGUF file.

use std::collections::BTreeMap;

use super::{Metadata, ParseError, Reader, metadata::Value};
use crate::weights::{WeightType, source::Entry};

/// The specification allows up to four dimensions today.
const MAX_DIMENSIONS: u32 = 4;

/// Alignment of the data section when the file does not say.
const DEFAULT_ALIGNMENT: u64 = 32;

/// The file's alignment: a power of two from 8 up, so that blocks and floats are aligned in the map.
pub(super) fn alignment(metadata: &Metadata<'_>) -> Result<u64, String> {
    match metadata.value("general.alignment") {
        None => Ok(DEFAULT_ALIGNMENT),
        Some(Value::Unsigned(alignment)) if alignment.is_power_of_two() && (8..=1 << 16).contains(&alignment) => {
            Ok(alignment)
        }
        Some(_) => Err("general.alignment is not a power of two between 8 and 65536".to_owned()),
    }
}

/// Reads `count` directory entries and places them in the file.
pub(super) fn read(reader: &mut Reader<'_>, count: u64, alignment: u64) -> Result<BTreeMap<String, Entry>, ParseError> {
    let mut entries = Vec::new();
    for _ in 0..count {
        entries.push(entry(reader, alignment)?);
    }
    let data = (reader.position() as u64).next_multiple_of(alignment);
    let mut tensors = BTreeMap::new();
    for (name, dtype, shape, offset, bytes) in entries {
        let place = data.checked_add(offset).and_then(|start| Some((start, start.checked_add(bytes)?)));
        let Some((start, end)) = place.filter(|&(_, end)| end <= reader.file_len() as u64) else {
            return Err(format!("tensor {name:?} passes the end of the file: truncated").into());
        };
        let entry = Entry { dtype, shape, file: 0, bytes: start as usize..end as usize };
        if tensors.insert(name.clone(), entry).is_some() {
            return Err(format!("tensor {name:?} occurs twice").into());
        }
    }
    apart(&tensors)?;
    Ok(tensors)
}

type Raw = (String, WeightType, Vec<usize>, u64, u64);

fn entry(reader: &mut Reader<'_>, alignment: u64) -> Result<Raw, ParseError> {
    let name = reader.string("a tensor name")?.to_owned();
    let dimensions = reader.u32("a dimension count")?;
    if dimensions > MAX_DIMENSIONS {
        return Err(format!("tensor {name:?} claims {dimensions} dimensions").into());
    }
    let mut shape = Vec::new();
    for _ in 0..dimensions {
        let size = reader.u64("a dimension")?;
        shape.push(usize::try_from(size).map_err(|_| format!("tensor {name:?} claims a dimension of {size}"))?);
    }
    let dtype = WeightType::from_gguf_code(reader.u32("a tensor type")?, &name).map_err(ParseError::UnknownType)?;
    let offset = reader.u64("a tensor offset")?;
    if !offset.is_multiple_of(alignment) {
        return Err(format!("tensor {name:?} at {offset} is not aligned to {alignment}").into());
    }
    // GGUF writes the innermost dimension first; blocks run along it.
    let row = shape.first().copied().unwrap_or(1);
    let elements = shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
    let bytes = elements.filter(|_| row.is_multiple_of(dtype.block_len())).and_then(|count| dtype.byte_len(count));
    let Some(bytes) = bytes else {
        return Err(format!("tensor {name:?} of shape {shape:?} does not fill whole {dtype} blocks").into());
    };
    shape.reverse();
    Ok((name, dtype, shape, offset, bytes as u64))
}

/// Refuses tensors that share bytes.
fn apart(tensors: &BTreeMap<String, Entry>) -> Result<(), String> {
    let mut places: Vec<_> = tensors.iter().filter(|(_, entry)| !entry.bytes.is_empty()).collect();
    places.sort_by_key(|(_, entry)| entry.bytes.start);
    for pair in places.windows(2) {
        if pair[1].1.bytes.start < pair[0].1.bytes.end {
            return Err(format!("tensors {:?} and {:?} overlap", pair[0].0, pair[1].0));
        }
    }
    Ok(())
}
