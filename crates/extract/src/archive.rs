//! Archives: every file inside becomes a child, the document itself is the list of their names.

use std::io::{Cursor, Read as _};

use fontes_core::BlockKind;
use sevenz_rust2::{ArchiveReader, Password};

use crate::{Child, ExtractError, Extraction, MediaType, ParseLimits, builder::Builder, package::Package};

/// Parses a ZIP archive.
pub(crate) fn parse_zip(bytes: &[u8], limits: &ParseLimits) -> Result<Extraction, ExtractError> {
    let mut package = Package::open(bytes, limits)?;
    let mut content = Content::new(limits);
    let mut locked = 0_usize;
    for index in 0..package.names().len() {
        let name = package.names()[index].clone();
        match package.read_index(index) {
            Ok(Some(bytes)) => content.add(&name, bytes)?,
            Ok(None) => {}
            Err(error @ ExtractError::Limit { .. }) => return Err(error),
            Err(error) => {
                locked += usize::from(matches!(error, ExtractError::Encrypted { .. }));
                content.builder.warnings.push(format!("entry {} could not be read: {error}", index + 1));
            }
        }
    }
    if locked > 0 && content.builder.children.is_empty() {
        return Err(ExtractError::Encrypted { what: "the archive".into() });
    }
    content.finish(MediaType::Zip)
}

/// Parses a TAR archive. Only regular files count: links, devices and sparse tricks are passed over.
pub(crate) fn parse_tar(bytes: &[u8], limits: &ParseLimits) -> Result<Extraction, ExtractError> {
    let mut content = Content::new(limits);
    let mut archive = tar::Archive::new(bytes);
    let entries = archive.entries().map_err(|error| ExtractError::corrupted(format!("TAR: {error}")))?;
    for (number, entry) in (1_u64..).zip(entries) {
        if number > limits.entries {
            return Err(ExtractError::limit("number of entries", limits.entries));
        }
        let mut entry = match entry {
            Ok(entry) => entry,
            Err(error) if content.builder.children.is_empty() => {
                return Err(ExtractError::corrupted(format!("TAR: {error}")));
            }
            Err(_) => {
                content.builder.warnings.push(format!("the archive is cut or damaged after entry {}", number - 1));
                break;
            }
        };
        if entry.header().entry_type() != tar::EntryType::Regular {
            continue;
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut file = Vec::new();
        // A TAR member is never larger than the archive; the length in its header may be.
        entry.by_ref().take(bytes.len() as u64).read_to_end(&mut file).map_err(ExtractError::corrupted)?;
        content.add(&name, file)?;
    }
    content.finish(MediaType::Tar)
}

/// Most memory of a decoder's dictionary. The largest that 7-Zip offers by its levels is 64 MiB.
const DICTIONARY_KIB: usize = 256 << 10;

/// Parses a 7z archive (LZMA, LZMA2 and stored members; others are named as unsupported).
pub(crate) fn parse_7z(bytes: &[u8], limits: &ParseLimits) -> Result<Extraction, ExtractError> {
    let archive = ArchiveReader::new_with_memory_limit(Cursor::new(bytes), Password::empty(), DICTIONARY_KIB);
    let mut archive = archive.map_err(damaged)?;
    archive.set_thread_count(1);
    let entries = archive.archive().files.len();
    if entries as u64 > limits.entries {
        return Err(ExtractError::limit("number of entries", limits.entries));
    }
    if (0..entries).any(|index| archive.archive().is_file_encrypted(index)) {
        return Err(ExtractError::Encrypted { what: "the archive".into() });
    }
    let mut content = Content::new(limits);
    let limit = inflation_limit(bytes, limits);
    let mut refused = None;
    let walked = archive.for_each_entries(|entry, data| {
        let mut file = Vec::new();
        data.take(limit.saturating_sub(content.inflated) + 1).read_to_end(&mut file)?;
        let added = match () {
            () if content.inflated + file.len() as u64 > limit => {
                Err(ExtractError::limit("inflated size in bytes", limit))
            }
            () if entry.is_directory() => Ok(()),
            () => content.add(entry.name(), file),
        };
        refused = added.err();
        // Going on would inflate the rest only to throw it away.
        refused.as_ref().map_or(Ok(true), |_| Err(sevenz_rust2::Error::FileNotFound))
    });
    match (refused, walked) {
        (Some(error), _) => Err(error),
        (None, Err(error)) if content.builder.children.is_empty() => Err(damaged(error)),
        (None, Err(_)) => {
            let read = content.builder.children.len();
            content.builder.warnings.push(format!("the archive is cut or damaged after {read} files"));
            content.finish(MediaType::SevenZip)
        }
        (None, Ok(())) => content.finish(MediaType::SevenZip),
    }
}

fn damaged(error: sevenz_rust2::Error) -> ExtractError {
    use sevenz_rust2::Error::{MaxMemLimited, PasswordRequired, UnsupportedCompressionMethod};
    match error {
        PasswordRequired => ExtractError::Encrypted { what: "the archive".into() },
        UnsupportedCompressionMethod(method) if method.contains("AES") => {
            ExtractError::Encrypted { what: "the archive".into() }
        }
        UnsupportedCompressionMethod(method) => {
            ExtractError::Unsupported { media_type: format!("application/x-7z-compressed; compression={method}") }
        }
        MaxMemLimited { .. } => ExtractError::limit("dictionary of the archive in KiB", DICTIONARY_KIB),
        error => ExtractError::corrupted(format!("7z: {error}")),
    }
}

/// Most bytes that an archive compressed as a whole may inflate to.
fn inflation_limit(bytes: &[u8], limits: &ParseLimits) -> u64 {
    let by_ratio = (bytes.len() as u64).saturating_mul(limits.inflation_ratio);
    by_ratio.max(ParseLimits::RATIO_FREE_BYTES).min(limits.inflated_bytes)
}

/// Parses a GZIP file: a compressed TAR archive, or one file.
pub(crate) fn parse_gzip(bytes: &[u8], file_name: &str, limits: &ParseLimits) -> Result<Extraction, ExtractError> {
    let mut inflated = Vec::new();
    let limit = inflation_limit(bytes, limits);
    let read = flate2::read::MultiGzDecoder::new(bytes).take(limit + 1).read_to_end(&mut inflated);
    if inflated.len() as u64 > limit {
        return Err(ExtractError::limit("inflated size in bytes", limit));
    }
    read.map_err(|error| ExtractError::corrupted(format!("GZIP: {error}")))?;
    if MediaType::detect(&inflated, "") == Ok(MediaType::Tar) {
        return parse_tar(&inflated, limits);
    }
    let lower = file_name.to_ascii_lowercase();
    let stem = if lower.ends_with(".gz") { &file_name[..file_name.len() - 3] } else { "content" };
    let mut content = Content::new(limits);
    content.add(stem, inflated)?;
    content.finish(MediaType::Gzip)
}

/// Collects children with tame, unique paths.
struct Content {
    builder: Builder,
    inflated: u64,
    inflated_limit: u64,
    children_limit: u64,
}

impl Content {
    fn new(limits: &ParseLimits) -> Self {
        Self {
            builder: Builder::new(limits),
            inflated: 0,
            inflated_limit: limits.inflated_bytes,
            children_limit: limits.children,
        }
    }

    fn add(&mut self, name: &str, bytes: Vec<u8>) -> Result<(), ExtractError> {
        let path = tame(name);
        let file_name = path.rsplit('/').next().unwrap_or_default().to_owned();
        // What file managers leave behind is no content.
        if path.starts_with("__MACOSX/") || matches!(file_name.as_str(), ".DS_Store" | "Thumbs.db" | "desktop.ini") {
            return Ok(());
        }
        self.inflated += bytes.len() as u64;
        if self.inflated > self.inflated_limit {
            return Err(ExtractError::limit("inflated size in bytes", self.inflated_limit));
        }
        if self.builder.children.len() as u64 >= self.children_limit {
            return Err(ExtractError::limit("number of files inside", self.children_limit));
        }
        self.builder.block(BlockKind::ListItem, &path);
        push_child(&mut self.builder.children, &path, bytes);
        Ok(())
    }

    fn finish(self, media: MediaType) -> Result<Extraction, ExtractError> {
        if self.builder.children.is_empty() {
            return Err(ExtractError::Empty);
        }
        self.builder.finish(media)
    }
}

/// Appends a child; a path already taken gets a number.
pub(crate) fn push_child(children: &mut Vec<Child>, path: &str, bytes: Vec<u8>) {
    let path = tame(path);
    let taken = |path: &str| children.iter().any(|child| child.path_inside == path);
    let mut unique = path.clone();
    // Quadratic only among namesakes at the front; archives with thousands of equal names do not exist.
    for number in 2..1000 {
        if !taken(&unique) {
            break;
        }
        unique = format!("{number}-{path}");
    }
    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
    children.push(Child { path_inside: unique, name, bytes });
}

/// Makes a path of an archive harmless: relative, `/` as separator, no `.` or `..`, no control characters.
pub(crate) fn tame(path: &str) -> String {
    let visible: String = path.chars().filter(|c| !c.is_control()).collect();
    let parts: Vec<&str> = visible.split(['/', '\\']).filter(|part| !matches!(*part, "" | "." | "..")).collect();
    if parts.is_empty() { "unnamed".to_owned() } else { parts.join("/") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::zipped;

    // Made by 7-Zip 22: `a.txt` and `d/b.txt`; one file under a password; the same with its names.
    const SEVEN_ZIP: &str = "377abcaf271c0004513b19b97a000000000000002100000000000000da9100d701000c4772c3bcc39f650a7a7765690a0000008133\
        07ae0fcf04718c07c8437f41b1fafddd83a8504dc066dc42bb81c90e45de5a235617eea9d86637a9490a3482bd4c6536095db19d8f\
        1a38a39d21e73b55a1c86b22e14edf2efdb50f96e8626f773485858ec444f9c97a9e65dec2e159c898a30526e80000001706110109\
        6900070b01000123030101055d001000000c80820a013d1b83690000";
    const LOCKED: &str = "377abcaf271c0004a1b5a6b710000000000000006200000000000000014d4e2cf84cb0ff9e2e712434cfa73ca62fca5e0104060001\
        091000070b0100022406f1070112530f229cde2c4151557c5ccf70d78d9e203b2121010001000c0c0800080a0149942e1500000501\
        190100110d0061002e007400780074000000140a0100e3c532e0697ddd01150601002080a4810000";
    const ALL_LOCKED: &str = "377abcaf271c000452e265af80000000000000002e00000000000000583af83ed83503002b3f1fddf5997e3f5d8adec06fb1e2dc28\
        7231dfedbe8583d2068cd383c82ac5bf2aecae66fbdc0309df3e407b8b61e11d3e8dbe47b5922a594ba4d70b302bc776e319b8606a\
        5d6fb08e36be4f79f5dd4066a8ea60e33ff5db541a48c4a98a4b90410b61fc19c97805bafe9dce52c356eaef2d21f2b5932912010f\
        6117061001097000070b0100012406f1070112530f9bfcd03bb4c8c78b7b6d10ca2e5fc8dc0c620a018a2ccbff0000";

    fn unhex(digits: &str) -> Vec<u8> {
        let pair = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        (0..digits.len()).step_by(2).map(pair).collect()
    }

    fn paths(extraction: &Extraction) -> Vec<&str> {
        extraction.children.iter().map(|child| child.path_inside.as_str()).collect()
    }

    #[test]
    fn zip_entries_become_children_with_tame_paths() {
        let bytes = zipped(&[("a/b.txt", b"1"), ("../../etc/passwd", b"2"), ("__MACOSX/x", b"3")]);
        let extraction = parse_zip(&bytes, &ParseLimits::default()).unwrap();
        assert_eq!(paths(&extraction), ["a/b.txt", "etc/passwd"]);
        assert_eq!(extraction.document.text, "a/b.txt\netc/passwd\n");
        assert_eq!(extraction.children[0].name, "b.txt");
    }

    #[test]
    fn tar_and_gzip_files_open() {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(2);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append_data(&mut header, "dir/x.txt", &b"hi"[..]).unwrap();
        let tar = builder.into_inner().unwrap();
        assert_eq!(MediaType::detect(&tar, "x").unwrap(), MediaType::Tar);
        assert_eq!(paths(&parse_tar(&tar, &ParseLimits::default()).unwrap()), ["dir/x.txt"]);
        for (content, name, expected) in
            [(tar.as_slice(), "x.tgz", "dir/x.txt"), (b"plain".as_slice(), "note.txt.gz", "note.txt")]
        {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            std::io::Write::write_all(&mut encoder, content).unwrap();
            let gzip = encoder.finish().unwrap();
            assert_eq!(paths(&parse_gzip(&gzip, name, &ParseLimits::default()).unwrap()), [expected]);
        }
    }

    #[test]
    fn seven_zip_opens_under_the_same_limits() {
        let bytes = unhex(SEVEN_ZIP);
        let extraction = crate::parse(&bytes, "x.7z", &ParseLimits::default()).unwrap();
        assert_eq!(paths(&extraction), ["a.txt", "d/b.txt"]);
        assert_eq!(extraction.children[0].bytes, "Grüße\n".as_bytes());
        let code = |bytes: &[u8], limits: ParseLimits| parse_7z(bytes, &limits).unwrap_err().code();
        assert_eq!(code(&unhex(LOCKED), ParseLimits::default()), "encrypted");
        assert_eq!(code(&unhex(ALL_LOCKED), ParseLimits::default()), "encrypted");
        assert_eq!(code(&bytes[..100], ParseLimits::default()), "corrupted");
        assert_eq!(code(&bytes, ParseLimits { inflated_bytes: 10, ..ParseLimits::default() }), "limit");
        assert_eq!(code(&bytes, ParseLimits { entries: 1, ..ParseLimits::default() }), "limit");
    }

    #[test]
    fn equal_names_stay_apart() {
        let mut children = Vec::new();
        for _ in 0..3 {
            push_child(&mut children, "a.txt", Vec::new());
        }
        let paths: Vec<_> = children.iter().map(|child| child.path_inside.as_str()).collect();
        assert_eq!(paths, ["a.txt", "2-a.txt", "3-a.txt"]);
    }
}
