//! Who may see a file: by the folder it lies in, by an access file beside it, by its POSIX permissions.
//!
//! Fail closed: what cannot be read or understood opens nothing. Later rules replace what earlier ones said, in
//! the order folder rule, POSIX permissions, access file of the folder (the deepest wins), access file of the
//! file itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use fontes_core::{Classification, Group, Labels};
use serde::Deserialize;

/// Name of the access file of a folder; that of a single file is `.NAME` followed by this.
const ACCESS_FILE: &str = ".access.toml";

/// The largest access file that is read; a real one has a few lines.
const ACCESS_FILE_BYTES: u64 = 64 << 10;

/// How a source decides who may see each of its files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessRules {
    /// Folders with labels of their own; the longest path that holds a file decides.
    pub folders: Vec<FolderRule>,
    /// Whether access files (`.access.toml`, `.NAME.access.toml`) are read. Whoever can write them decides who
    /// may see what lies beside them.
    pub access_files: bool,
    /// POSIX groups as groups of Fontes; `None`: permissions are not looked at.
    pub posix: Option<PosixGroups>,
}

/// The labels of one folder; what the rule leaves out stays as it was.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderRule {
    /// The folder, absolute or below a path of the source.
    pub path: PathBuf,
    /// Groups that may see its files, any of them suffices.
    #[serde(default)]
    pub groups: Option<BTreeSet<Group>>,
    /// How closely they are held.
    #[serde(default)]
    pub classification: Option<Classification>,
}

/// What an access file says; what it leaves out stays as it was.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccessFile {
    groups: Option<BTreeSet<Group>>,
    classification: Option<Classification>,
}

/// Which POSIX groups are which groups of Fontes. Numbers, not names: what a name means differs between machines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PosixGroups {
    /// Group of Fontes by numeric group id. Ids that are not named here open nothing.
    pub gid: BTreeMap<String, Group>,
    /// The group of everyone on the system, for what everyone may read.
    pub others: Option<Group>,
}

impl AccessRules {
    /// The labels of `path`, a file below `root`, which has `usual` when nothing else is said.
    ///
    /// # Errors
    /// What kept the rules from being applied, for the file's quarantine entry.
    pub(crate) fn labels(&self, usual: &Labels, root: &Path, path: &Path) -> Result<Labels, String> {
        let mut labels = usual.clone();
        let holds = |rule: &&FolderRule| path.starts_with(root.join(&rule.path));
        if let Some(rule) = self.folders.iter().filter(holds).max_by_key(|rule| root.join(&rule.path).as_os_str().len())
        {
            replace(&mut labels, rule.groups.as_ref(), rule.classification);
        }
        if let Some(posix) = &self.posix {
            labels.groups = posix.readers(root, path).map_err(|error| format!("permissions: {}", error.kind()))?;
        }
        if self.access_files {
            for folder in folders_down(root, path) {
                access_file(&folder.join(ACCESS_FILE), &mut labels)?;
            }
            if let Some(name) = path.file_name() {
                let mut beside = std::ffi::OsString::from(".");
                beside.push(name);
                beside.push(ACCESS_FILE);
                access_file(&path.with_file_name(beside), &mut labels)?;
            }
        }
        if labels.groups.is_empty() { Err("no group may see it".into()) } else { Ok(labels) }
    }
}

fn replace(labels: &mut Labels, groups: Option<&BTreeSet<Group>>, classification: Option<Classification>) {
    if let Some(groups) = groups {
        labels.groups.clone_from(groups);
    }
    labels.classification = classification.unwrap_or(labels.classification);
}

/// The folders from `root` down to the one that holds `path`; only that one when `path` is the root itself.
fn folders_down<'p>(root: &Path, path: &'p Path) -> Vec<&'p Path> {
    let mut folders: Vec<&Path> = path.ancestors().skip(1).take_while(|folder| folder.starts_with(root)).collect();
    folders.reverse();
    if folders.is_empty() { path.parent().into_iter().collect() } else { folders }
}

/// Applies an access file when it is there.
fn access_file(file: &Path, labels: &mut Labels) -> Result<(), String> {
    let fault = |what: &str| format!("access file {}: {what}", file.display());
    match fs::symlink_metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(fault(&error.kind().to_string())),
        Ok(metadata) if !metadata.is_file() || metadata.len() > ACCESS_FILE_BYTES => {
            return Err(fault("not a small file"));
        }
        Ok(_) => {}
    }
    let text = fs::read_to_string(file).map_err(|error| fault(&error.kind().to_string()))?;
    let AccessFile { groups, classification } = toml::from_str(&text).map_err(|error| fault(error.message()))?;
    replace(labels, groups.as_ref(), classification);
    Ok(())
}

/// Permission bits of one file or folder, as `rwx`.
#[derive(Debug, PartialEq, Eq)]
struct Permissions {
    owner_gid: u32,
    group: u16,
    named: Vec<(u32, u16)>,
    mask: u16,
    others: u16,
}

const READ: u16 = 4;
const ENTER: u16 = 1;

impl Permissions {
    /// Says whether members of `gid` have `wanted`. A group that is not named has what everyone has.
    fn group_has(&self, gid: u32, wanted: u16) -> bool {
        let named = self.named.iter().filter(|(id, _)| *id == gid).map(|(_, bits)| bits & self.mask);
        let own = (self.owner_gid == gid).then_some(self.group & self.mask);
        let mut bits = named.chain(own).peekable();
        if bits.peek().is_none() { self.others & wanted == wanted } else { bits.any(|bits| bits & wanted == wanted) }
    }
}

impl PosixGroups {
    /// The groups whose members may read `path`: the file itself, and enter every folder from `root` down to it.
    fn readers(&self, root: &Path, path: &Path) -> io::Result<BTreeSet<Group>> {
        let mut steps = vec![(permissions(path)?, READ)];
        for folder in folders_down(root, path) {
            steps.push((permissions(folder)?, ENTER));
        }
        let mut readers: BTreeSet<Group> = BTreeSet::new();
        for (gid, group) in &self.gid {
            let Ok(gid) = gid.parse() else { continue };
            if steps.iter().all(|(permissions, wanted)| permissions.group_has(gid, *wanted)) {
                readers.insert(group.clone());
            }
        }
        if steps.iter().all(|(permissions, wanted)| permissions.others & wanted == *wanted) {
            readers.extend(self.others.clone());
        }
        Ok(readers)
    }
}

/// The permissions of a file or folder, its access control list included.
#[cfg(unix)]
fn permissions(path: &Path) -> io::Result<Permissions> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::symlink_metadata(path)?;
    let mode = metadata.mode();
    let bits = |shift: u32| u16::try_from(mode >> shift & 7).expect("three bits");
    let plain = Permissions { owner_gid: metadata.gid(), group: bits(3), named: Vec::new(), mask: 7, others: bits(0) };
    Ok(match acl(path)? {
        Some(list) => with_acl(plain, &list).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?,
        None => plain,
    })
}

/// Elsewhere nothing is known, and nothing is opened.
#[cfg(not(unix))]
fn permissions(_path: &Path) -> io::Result<Permissions> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// The access control list as the kernel keeps it; `None` when there is none.
#[cfg(target_os = "linux")]
fn acl(path: &Path) -> io::Result<Option<Vec<u8>>> {
    // The kernel's limit for the value of an attribute.
    let mut value = vec![0; 64 << 10];
    match rustix::fs::lgetxattr(path, c"system.posix_acl_access", &mut value[..]) {
        Ok(length) => {
            value.truncate(length);
            Ok(Some(value))
        }
        Err(rustix::io::Errno::NODATA | rustix::io::Errno::OPNOTSUPP) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Other systems keep their lists in other ways; the mode alone decides.
#[cfg(all(unix, not(target_os = "linux")))]
fn acl(_path: &Path) -> io::Result<Option<Vec<u8>>> {
    Ok(None)
}

/// Reads a list in the kernel's form (`linux/posix_acl_xattr.h`): a version, then entries of tag, bits and id,
/// all little endian. `None` when it is not in that form.
#[cfg(unix)]
fn with_acl(mut permissions: Permissions, list: &[u8]) -> Option<Permissions> {
    const VERSION: u32 = 2;
    const GROUP_OWNER: u16 = 0x04;
    const GROUP: u16 = 0x08;
    const MASK: u16 = 0x10;
    const OTHER: u16 = 0x20;
    let (version, entries) = list.split_first_chunk::<4>()?;
    let (entries, rest) = entries.as_chunks::<8>();
    if u32::from_le_bytes(*version) != VERSION || !rest.is_empty() {
        return None;
    }
    for &[tag0, tag1, bits0, bits1, id @ ..] in entries {
        let bits = u16::from_le_bytes([bits0, bits1]);
        match u16::from_le_bytes([tag0, tag1]) {
            GROUP_OWNER => permissions.group = bits,
            GROUP => permissions.named.push((u32::from_le_bytes(id), bits)),
            MASK => permissions.mask = bits,
            OTHER => permissions.others = bits,
            // The owner and named users: people are not groups.
            _ => {}
        }
    }
    Some(permissions)
}

#[cfg(all(test, unix))]
#[path = "access_tests.rs"]
mod tests;
