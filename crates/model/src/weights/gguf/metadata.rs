//! Keys and values of a GGUF header.

use std::ops::Range;

use super::{Header, Reader};

/// Arrays of arrays deeper than this are refused; no known file has any.
const MAX_NESTING: u32 = 4;

/// The element types of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    String,
    Array,
    U64,
    I64,
    F64,
}

impl Kind {
    fn from_code(code: u32) -> Option<Self> {
        use Kind::{Array, Bool, F32, F64, I8, I16, I32, I64, String, U8, U16, U32, U64};
        [U8, I8, U16, I16, U32, I32, F32, Bool, String, Array, U64, I64, F64].get(code as usize).copied()
    }

    /// Bytes of one element, for the types of fixed size.
    fn size(self) -> Option<u64> {
        match self {
            Self::U8 | Self::I8 | Self::Bool => Some(1),
            Self::U16 | Self::I16 => Some(2),
            Self::U32 | Self::I32 | Self::F32 => Some(4),
            Self::U64 | Self::I64 | Self::F64 => Some(8),
            Self::String | Self::Array => None,
        }
    }
}

/// A checked value that stayed in the file.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    kind: Kind,
    /// Element type and count, for an array.
    array: Option<(Kind, u64)>,
    bytes: Range<usize>,
}

/// Reads past one value, checking it.
pub(super) fn read(reader: &mut Reader<'_>, key: &str) -> Result<Stored, String> {
    let kind = read_kind(reader, key)?;
    if kind != Kind::Array {
        let start = reader.position();
        skip(reader, kind, key, 0)?;
        return Ok(Stored { kind, array: None, bytes: start..reader.position() });
    }
    let element = read_kind(reader, key)?;
    let count = reader.u64("an array length")?;
    let start = reader.position();
    skip_elements(reader, element, count, key, 1)?;
    Ok(Stored { kind, array: Some((element, count)), bytes: start..reader.position() })
}

fn read_kind(reader: &mut Reader<'_>, key: &str) -> Result<Kind, String> {
    let code = reader.u32("a value type")?;
    Kind::from_code(code).ok_or_else(|| format!("key {key:?} has the unknown value type {code}"))
}

fn skip(reader: &mut Reader<'_>, kind: Kind, key: &str, depth: u32) -> Result<(), String> {
    match kind {
        Kind::String => reader.string("a string value").map(|_| ()).map_err(|reason| format!("key {key:?}: {reason}")),
        Kind::Array => {
            if depth >= MAX_NESTING {
                return Err(format!("key {key:?} nests arrays too deep"));
            }
            let element = read_kind(reader, key)?;
            let count = reader.u64("an array length")?;
            skip_elements(reader, element, count, key, depth + 1)
        }
        Kind::Bool => match reader.bytes(1, "a truth value")? {
            [0 | 1] => Ok(()),
            _ => Err(format!("key {key:?} is neither true nor false")),
        },
        number => reader.bytes(number.size().unwrap_or(0), "a number").map(|_| ()),
    }
}

fn skip_elements(reader: &mut Reader<'_>, kind: Kind, count: u64, key: &str, depth: u32) -> Result<(), String> {
    if let Some(size) = kind.size() {
        let bytes = count.checked_mul(size).ok_or_else(|| format!("key {key:?} claims {count} elements"))?;
        return reader.bytes(bytes, "an array").map(|_| ()).map_err(|reason| format!("key {key:?}: {reason}"));
    }
    // Each element takes at least its length field, so a false count ends at the end of the file.
    for _ in 0..count {
        skip(reader, kind, key, depth)?;
    }
    Ok(())
}

/// One value, borrowed from the file. Integers are widened.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Any unsigned integer.
    Unsigned(u64),
    /// Any signed integer.
    Signed(i64),
    /// Any float.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A string.
    String(&'a str),
    /// An array.
    Array(Array<'a>),
}

/// An array that is decoded when asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Array<'a> {
    kind: Kind,
    count: u64,
    bytes: &'a [u8],
}

impl<'a> Array<'a> {
    /// Number of elements.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Says whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The elements in order; arrays within arrays are skipped over.
    pub fn values(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let (kind, mut rest) = (self.kind, self.bytes);
        let count = if kind == Kind::Array { 0 } else { self.count };
        (0..count).map_while(move |_| {
            let (value, after) = scalar(kind, rest)?;
            rest = after;
            Some(value)
        })
    }
}

/// Decodes one scalar and returns what follows it.
fn scalar(kind: Kind, bytes: &[u8]) -> Option<(Value<'_>, &[u8])> {
    macro_rules! number {
        ($kind:ty, $value:path, $wide:ty) => {{
            let (taken, rest) = bytes.split_first_chunk()?;
            ($value(<$wide>::from(<$kind>::from_le_bytes(*taken))), rest)
        }};
    }
    Some(match kind {
        Kind::U8 => number!(u8, Value::Unsigned, u64),
        Kind::U16 => number!(u16, Value::Unsigned, u64),
        Kind::U32 => number!(u32, Value::Unsigned, u64),
        Kind::U64 => number!(u64, Value::Unsigned, u64),
        Kind::I8 => number!(i8, Value::Signed, i64),
        Kind::I16 => number!(i16, Value::Signed, i64),
        Kind::I32 => number!(i32, Value::Signed, i64),
        Kind::I64 => number!(i64, Value::Signed, i64),
        Kind::F32 => number!(f32, Value::Float, f64),
        Kind::F64 => number!(f64, Value::Float, f64),
        Kind::Bool => {
            let (first, rest) = bytes.split_first()?;
            (Value::Bool(*first != 0), rest)
        }
        Kind::String => {
            let (length, rest) = bytes.split_first_chunk()?;
            let (text, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
            (Value::String(str::from_utf8(text).ok()?), rest)
        }
        Kind::Array => return None,
    })
}

/// The key/value header of an opened GGUF file.
#[derive(Clone, Copy, Debug)]
pub struct Metadata<'a> {
    file: &'a [u8],
    header: &'a Header,
}

impl<'a> Metadata<'a> {
    pub(in crate::weights) fn new(file: &'a [u8], header: &'a Header) -> Self {
        Self { file, header }
    }

    /// The format version.
    pub fn version(&self) -> u32 {
        self.header.version
    }

    /// All keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.header.entries.keys().map(String::as_str)
    }

    /// The value of `key`.
    pub fn value(&self, key: &str) -> Option<Value<'a>> {
        let stored = self.header.entries.get(key)?;
        let bytes = self.file.get(stored.bytes.clone())?;
        match stored.array {
            Some((kind, count)) => Some(Value::Array(Array { kind, count, bytes })),
            None => scalar(stored.kind, bytes).map(|(value, _)| value),
        }
    }

    /// A string; `None` when absent or of another type, here and below.
    pub fn string(&self, key: &str) -> Option<&'a str> {
        match self.value(key)? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// A non-negative integer of any width.
    pub fn unsigned(&self, key: &str) -> Option<u64> {
        match self.value(key)? {
            Value::Unsigned(number) => Some(number),
            Value::Signed(number) => u64::try_from(number).ok(),
            _ => None,
        }
    }

    /// A float of any width.
    pub fn float(&self, key: &str) -> Option<f64> {
        match self.value(key)? {
            Value::Float(number) => Some(number),
            _ => None,
        }
    }

    /// A truth value.
    pub fn bool(&self, key: &str) -> Option<bool> {
        match self.value(key)? {
            Value::Bool(truth) => Some(truth),
            _ => None,
        }
    }

    /// An array of strings.
    pub fn strings(&self, key: &str) -> Option<Vec<&'a str>> {
        self.elements(key, |value| match value {
            Value::String(text) => Some(text),
            _ => None,
        })
    }

    /// An array of floats.
    pub fn floats(&self, key: &str) -> Option<Vec<f64>> {
        self.elements(key, |value| match value {
            Value::Float(number) => Some(number),
            _ => None,
        })
    }

    /// An array of integers of any width.
    pub fn integers(&self, key: &str) -> Option<Vec<i64>> {
        self.elements(key, |value| match value {
            Value::Unsigned(number) => i64::try_from(number).ok(),
            Value::Signed(number) => Some(number),
            _ => None,
        })
    }

    fn elements<T>(&self, key: &str, pick: impl Fn(Value<'a>) -> Option<T>) -> Option<Vec<T>> {
        match self.value(key)? {
            Value::Array(array) => array.values().map(pick).collect(),
            _ => None,
        }
    }
}
