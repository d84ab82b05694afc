//! The one place where a file is mapped into memory.

use std::{fs::File, ops::Range, path::Path};

use memmap2::Mmap;

use super::WeightsError;

/// Maps `path` read-only.
///
/// The map is only as stable as the file: the model store writes a file once, under a temporary name, and never
/// changes it in place. Somebody who truncates a model file under a running process ends that process.
pub(crate) fn map(path: &Path) -> Result<Mmap, WeightsError> {
    let io = |source| WeightsError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    if !file.metadata().map_err(io)?.is_file() {
        return Err(WeightsError::NotAModel { path: path.to_owned(), reason: "not a regular file" });
    }
    #[expect(unsafe_code, reason = "mapping avoids a second copy of the weights; the only such site")]
    // SAFETY: the map is read-only and private to this process, every access goes through a bounds-checked
    // slice, and model files are not modified in place (contract above).
    let mapping = unsafe { Mmap::map(&file) };
    mapping.map_err(io)
}

/// Lets the system take back the memory of a part of a map; reading it again reads the file again.
///
/// Without this a model that is repacked at load counts twice: once in the mapped file, once repacked.
pub(crate) fn release(map: &Mmap, part: Range<usize>) {
    #[cfg(target_os = "linux")]
    {
        #[expect(unsafe_code, reason = "dropping pages of the map above")]
        // SAFETY: the map is shared with the file and never written, so that dropped pages come back with the same
        // content, under the contract of `map`. Offsets are rounded to pages; neighbours come back likewise.
        let advised = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, part.start, part.len()) };
        // Refusal costs memory, not correctness.
        drop(advised);
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (map, part);
    }
}
