//! The one place where a file is mapped into memory.

use std::{
    fs::{self, File},
    io,
    ops::Range,
    path::Path,
};

use memmap2::{Mmap, MmapMut, MmapOptions};

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

/// Maps a file for this process alone, in huge pages where the file system has them, and reads all of it. What is written
/// to the map never reaches the file. The contract of [`map`] holds: the file is not changed in place.
///
/// # Errors
/// The system's.
pub(crate) fn map_private(file: &File) -> io::Result<MmapMut> {
    #[expect(unsafe_code, reason = "mapping packed weights instead of making them again")]
    // SAFETY: the map is private, every access goes through a bounds-checked slice, and the file is written once under
    // another name and never changed in place (the contract above).
    let map = unsafe { MmapOptions::new().no_reserve_swap().map_copy(file)? };
    #[cfg(target_os = "linux")]
    {
        // Refusal costs speed, not correctness.
        let _ = map.advise(memmap2::Advice::HugePage);
        let _ = map.advise(memmap2::Advice::PopulateRead);
    }
    Ok(map)
}

/// Bytes of a mapped file that the system has mapped in huge pages; none where it does not tell (Linux does).
pub(crate) fn huge_bytes(map: &MmapMut) -> usize {
    let address = map.as_ptr() as usize;
    let text = fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    let hex = |text: &str| usize::from_str_radix(text, 16).ok();
    let mut inside = false;
    for line in text.lines() {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        if let Some((Some(from), Some(to))) = range.map(|(from, to)| (hex(from), hex(to))) {
            inside = (from..to).contains(&address);
        } else if let (true, Some(found)) = (inside, line.strip_prefix("FilePmdMapped:")) {
            let kib = found.trim().trim_end_matches(" kB").parse::<usize>();
            return kib.map_or(0, |kib| kib << 10);
        }
    }
    0
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
