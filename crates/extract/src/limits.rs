//! How a file is read and what it may cost, checked before the cost is paid.

use serde::{Deserialize, Serialize};

use crate::PdfEngine;

/// Limits on one file. The defaults are far above honest office files and far below what hurts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ParseLimits {
    /// Largest file, in bytes. 100 MB: the largest honest files of an archive are scans of that size.
    pub file_bytes: u64,
    /// Most bytes that a container may inflate to, over all of its entries.
    pub inflated_bytes: u64,
    /// Highest ratio of inflated to stored size of one entry. Deflate cannot pass 1032; office files stay
    /// below 60, and small entries below [`ParseLimits::RATIO_FREE_BYTES`] are exempt.
    pub inflation_ratio: u64,
    /// Most entries in a container.
    pub entries: u64,
    /// Deepest nesting of files in files (an archive in a mail in an archive is 2).
    pub depth: u32,
    /// Most files inside a file, over all depths, and the most bytes they may hold together.
    pub children: u64,
    /// Most PDF pages.
    pub pages: u64,
    /// What reads PDF pages.
    pub pdf_engine: PdfEngine,
    /// Deepest nesting of elements or objects.
    pub nesting: u32,
    /// Most elements in one XML part.
    pub nodes: u32,
    /// Most bytes of stored text.
    pub text_bytes: u64,
    /// Most cells of one spreadsheet.
    pub cells: u64,
}

impl ParseLimits {
    /// Entries that inflate to less than this are not judged by their ratio: a page of blanks is no bomb.
    pub const RATIO_FREE_BYTES: u64 = 4 << 20;
}

impl Default for ParseLimits {
    fn default() -> Self {
        Self {
            file_bytes: 100_000_000,
            inflated_bytes: 500_000_000,
            inflation_ratio: 100,
            entries: 10_000,
            depth: 3,
            children: 10_000,
            pages: 5_000,
            pdf_engine: PdfEngine::default(),
            nesting: 256,
            nodes: 4_000_000,
            text_bytes: 64 << 20,
            cells: 2_000_000,
        }
    }
}
