//! A small mutator: knows bytes, little-endian numbers and JSON-like text.

/// Makes damaged versions of valid files, always the same for the same seed.
pub struct Mutator {
    state: u64,
    text: bool,
}

/// Numbers at which programs go wrong.
const NUMBERS: [u64; 18] = [
    0,
    1,
    2,
    7,
    31,
    255,
    256,
    65_535,
    1 << 20,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    1 << 32,
    1 << 40,
    (1 << 63) - 1,
    1 << 63,
    u64::MAX - 31,
    u64::MAX,
];

/// Pieces of text at which parsers go wrong.
const TEXTS: [&str; 22] = [
    "null",
    "-1",
    "0",
    "1e999",
    "18446744073709551616",
    "4294967296",
    "1.5",
    "\"\"",
    "[]",
    "{}",
    "[[[[[[[[",
    "true",
    "\u{0}",
    "\u{FFFD}",
    "\u{1F1E8}\u{1F1ED}",
    "{{",
    "{% for x in range(999999999) %}",
    "{% endfor %}",
    "'",
    "\\u0000",
    "<0x41>",
    "\u{2581}",
];

impl Mutator {
    pub fn new(seed: u64, text: bool) -> Self {
        Self { state: seed, text }
    }

    /// xorshift64* (Vigna 2016).
    fn random(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: usize) -> usize {
        if limit == 0 { 0 } else { (self.random() % limit as u64) as usize }
    }

    /// A place in the file: most often near its front, where headers are.
    fn place(&mut self, length: usize) -> usize {
        let zone = match self.below(4) {
            0 => length.min(64),
            1 => length.min(4096),
            2 => length.min(65_536),
            _ => length,
        };
        self.below(zone)
    }

    /// A damaged version of one of the seeds.
    pub fn next(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let seed = self.below(seeds.len());
        let mut bytes = seeds[seed].clone();
        for _ in 0..=self.below(4) {
            if self.text && self.below(3) > 0 {
                self.change_text(&mut bytes)
            } else {
                self.change_bytes(&mut bytes, seeds)
            }
        }
        bytes
    }

    fn change_bytes(&mut self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.place(bytes.len());
        match self.below(8) {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            2 if at < bytes.len() => bytes[at] = self.random() as u8,
            3 | 4 => {
                let number = NUMBERS[self.below(NUMBERS.len())].to_le_bytes();
                let width = [4, 8][self.below(2)];
                let end = (at + width).min(bytes.len());
                bytes[at..end].copy_from_slice(&number[..end - at]);
            }
            5 => {
                let end = (at + self.below(64)).min(bytes.len());
                bytes.drain(at..end);
            }
            6 => {
                let end = (at + self.below(64)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                let to = self.place(bytes.len());
                bytes.splice(to..to, copy);
            }
            _ => {
                let other = &seeds[self.below(seeds.len())];
                let from = self.place(other.len());
                let copy = &other[from..(from + self.below(256)).min(other.len())];
                let end = (at + copy.len()).min(bytes.len());
                bytes.splice(at..end, copy.iter().copied());
            }
        }
    }

    /// Replaces a word, a number or a string of text.
    fn change_text(&mut self, bytes: &mut Vec<u8>) {
        let at = self.place(bytes.len());
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        let start =
            bytes.get(at..).and_then(|rest| rest.iter().position(is_word)).map_or(bytes.len(), |skip| at + skip);
        let end = bytes[start..].iter().position(|byte| !is_word(byte)).map_or(bytes.len(), |length| start + length);
        let new = match self.below(6) {
            0 => "[".repeat(1 << self.below(18)),
            1 => "{\"a\":".repeat(1 << self.below(16)),
            2 => "ab".repeat(1 << self.below(14)),
            3 => NUMBERS[self.below(NUMBERS.len())].to_string(),
            _ => TEXTS[self.below(TEXTS.len())].to_owned(),
        };
        bytes.splice(start..end, new.into_bytes());
    }
}
