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
    #[expect(unsafe_code, reason = "mapping avoids a second copy of the weights")]
    // SAFETY: the map is read-only and private to this process, every access goes through a bounds-checked
    // slice, and model files are not modified in place (contract above).
    let mapping = unsafe { Mmap::map(&file) };
    mapping.map_err(io)
}

/// Maps a file for this process alone, in huge pages where the file system has them. What is written to the map never
/// reaches the file. The contract of [`map`] holds from when the map is read: the file is not changed in place.
///
/// # Errors
/// The system's.
pub(crate) fn map_private(file: &File) -> io::Result<MmapMut> {
    #[expect(unsafe_code, reason = "mapping packed weights instead of making them again")]
    // SAFETY: the map is private and the file is written once, under another name, and never changed in place (the
    // contract above). Kernels read it as they read other memory, within the length that was mapped.
    let map = unsafe { MmapOptions::new().no_reserve_swap().map_copy(file)? };
    #[cfg(target_os = "linux")]
    {
        // Refusal costs speed, not correctness.
        let _ = map.advise(memmap2::Advice::HugePage);
    }
    Ok(map)
}

/// Reads a part of a mapped file into memory, where the system can do so at once.
///
/// # Errors
/// What cannot be read, which would end the process if it were touched.
pub(crate) fn populate(map: &MmapMut, part: Range<usize>) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    match map.advise_range(memmap2::Advice::PopulateRead, part.start, part.len()) {
        // Linux before 5.14 does not know how; pages come when they are touched.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        other => other,
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (map, part);
        Ok(())
    }
}

/// Bytes of a mapped file that the system has mapped in huge pages; none where it does not tell (Linux does).
pub(crate) fn huge_bytes(map: &MmapMut) -> usize {
    // Paths of other mappings need not be UTF-8.
    let smaps = fs::read("/proc/self/smaps").unwrap_or_default();
    huge_bytes_in(&String::from_utf8_lossy(&smaps), map.as_ptr() as usize)
}

/// The bytes in huge pages of the mapping at `address`, from the text of `smaps` (proc(5)).
fn huge_bytes_in(smaps: &str, address: usize) -> usize {
    let hex = |text: &str| usize::from_str_radix(text, 16).ok();
    let mut inside = false;
    for line in smaps.lines() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huge_pages_are_counted_for_the_mapping_meant() {
        let smaps = "7f0000000000-7f0000400000 rw-p 00000000 fe:00 11 /a b/packed.weights\n\
                     Size:               4096 kB\nFilePmdMapped:      2048 kB\nVmFlags: rd mr mw me hg\n\
                     7f0000400000-7f0000800000 r--p 00000000 fe:00 12 /c\nFilePmdMapped:      4096 kB\n\
                     7f0000800000-7f0000c00000 r--p 00000000 00:00 0\nSize:               4096 kB\n";
        assert_eq!(huge_bytes_in(smaps, 0x7f00_0000_0000), 2 << 20);
        assert_eq!(huge_bytes_in(smaps, 0x7f00_0040_0000), 4 << 20);
        assert_eq!(huge_bytes_in(smaps, 0x7f00_0080_0000), 0, "an old kernel does not say");
        assert_eq!(huge_bytes_in(smaps, 0x1000), 0);
    }

    #[test]
    fn a_private_map_holds_the_file_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, [5; 10_000]).unwrap();
        let mut map = map_private(&File::open(&path).unwrap()).unwrap();
        populate(&map, 0..10_000).unwrap();
        assert!(map[..] == [5; 10_000]);
        map[0] = 6;
        assert!(fs::read(&path).unwrap() == [5; 10_000]);
    }
}
