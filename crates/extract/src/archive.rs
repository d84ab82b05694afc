//! Archives: every file inside becomes a child, the document itself is the list of their names.

use std::io::Read as _;

use fontes_core::BlockKind;

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

/// Parses a GZIP file: a compressed TAR archive, or one file.
pub(crate) fn parse_gzip(bytes: &[u8], file_name: &str, limits: &ParseLimits) -> Result<Extraction, ExtractError> {
    let by_ratio = (bytes.len() as u64).saturating_mul(limits.inflation_ratio).max(ParseLimits::RATIO_FREE_BYTES);
    let mut inflated = Vec::new();
    let limit = by_ratio.min(limits.inflated_bytes);
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
    fn equal_names_stay_apart() {
        let mut children = Vec::new();
        for _ in 0..3 {
            push_child(&mut children, "a.txt", Vec::new());
        }
        let paths: Vec<_> = children.iter().map(|child| child.path_inside.as_str()).collect();
        assert_eq!(paths, ["a.txt", "2-a.txt", "3-a.txt"]);
    }
}
