//! The one place where a file is mapped into memory.

use std::{fs::File, path::Path};

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
