//! Who may see what, under each kind of rule and all of them.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::*;

fn groups(names: &[&str]) -> BTreeSet<Group> {
    names.iter().map(|name| Group((*name).into())).collect()
}

fn usual() -> Labels {
    Labels { groups: groups(&["everyone"]), source: "archive".into(), ..Labels::default() }
}

/// A file in a folder in a folder, under a root.
struct Archive {
    folder: tempfile::TempDir,
}

impl Archive {
    fn new() -> Self {
        let archive = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir_all(archive.root().join("hr/secret")).unwrap();
        archive.put("hr/secret/file.txt", "x");
        for folder in ["", "hr", "hr/secret"] {
            archive.mode(folder, 0o755);
        }
        archive
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.root().join(name), text).unwrap();
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.root().join(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn labels(&self, rules: &AccessRules) -> Result<Labels, String> {
        rules.labels(&usual(), self.root(), &self.root().join("hr/secret/file.txt"))
    }
}

fn rules(toml: &str) -> AccessRules {
    toml::from_str(toml).unwrap()
}

#[test]
fn without_rules_the_source_decides() {
    assert_eq!(Archive::new().labels(&AccessRules::default()).unwrap(), usual());
}

#[test]
fn the_deepest_folder_rule_decides() {
    let archive = Archive::new();
    let rules = rules(
        "[[folders]]\npath = 'hr/secret'\nclassification = 'secret'\ngroups = ['board']\n\
         [[folders]]\npath = 'hr'\ngroups = ['hr']\n[[folders]]\npath = 'h'\ngroups = ['wrong']",
    );
    let labels = archive.labels(&rules).unwrap();
    assert_eq!((labels.groups, labels.classification), (groups(&["board"]), Classification::Secret));
    let other = rules_of(&archive, &rules, "hr/other.txt");
    assert_eq!((other.groups, other.classification), (groups(&["hr"]), Classification::Internal));
}

fn rules_of(archive: &Archive, rules: &AccessRules, name: &str) -> Labels {
    rules.labels(&usual(), archive.root(), &archive.root().join(name)).unwrap()
}

#[test]
fn access_files_count_when_the_source_says_so() {
    let archive = Archive::new();
    archive.put("hr/.access.toml", "groups = ['hr']\nclassification = 'confidential'");
    archive.put("hr/secret/.access.toml", "groups = ['board']");
    assert_eq!(archive.labels(&AccessRules::default()).unwrap(), usual());
    let rules = rules("access_files = true");
    let labels = archive.labels(&rules).unwrap();
    assert_eq!((labels.groups, labels.classification), (groups(&["board"]), Classification::Confidential));
    archive.put("hr/secret/.file.txt.access.toml", "groups = ['chair']");
    assert_eq!(archive.labels(&rules).unwrap().groups, groups(&["chair"]));
}

#[test]
fn what_cannot_be_understood_opens_nothing() {
    let archive = Archive::new();
    let rules = rules("access_files = true");
    for text in ["groups = ['hr'", "group = ['hr']", "groups = []", "classification = 'open'"] {
        archive.put("hr/.access.toml", text);
        assert!(archive.labels(&rules).is_err(), "{text}");
    }
    fs::remove_file(archive.root().join("hr/.access.toml")).unwrap();
    fs::create_dir(archive.root().join("hr/.access.toml")).unwrap();
    assert!(archive.labels(&rules).unwrap_err().contains("not a small file"));
}

#[test]
fn posix_permissions_open_what_they_open_on_the_system() {
    let archive = Archive::new();
    let gid = fs::metadata(archive.root()).unwrap().gid();
    let rules = rules(&format!("[posix]\nothers = 'everyone'\n[posix.gid]\n{gid} = 'owners'\n4242 = 'strangers'"));
    let seen_by = |file: u32, folder: u32| {
        archive.mode("hr/secret/file.txt", file);
        archive.mode("hr", folder);
        archive.labels(&rules).map(|labels| labels.groups)
    };
    assert_eq!(seen_by(0o644, 0o755).unwrap(), groups(&["everyone", "owners", "strangers"]));
    assert_eq!(seen_by(0o640, 0o755).unwrap(), groups(&["owners"]));
    assert_eq!(seen_by(0o644, 0o750).unwrap(), groups(&["owners"]), "a closed folder closes what is inside");
    assert_eq!(seen_by(0o604, 0o755).unwrap(), groups(&["everyone", "strangers"]), "the group is shut out");
    assert!(seen_by(0o600, 0o755).is_err(), "nobody");
}

fn list(entries: &[(u16, u16, u32)]) -> Vec<u8> {
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

#[test]
fn access_control_lists_are_read_as_the_kernel_keeps_them() {
    let plain = || Permissions { owner_gid: 7, group: 0, named: Vec::new(), mask: 7, others: 4 };
    let entries = [
        (1, 6, u32::MAX),
        (4, 4, u32::MAX),
        (8, 4, 100),
        (8, 6, 200),
        (8, 0, 300),
        (16, 4, u32::MAX),
        (32, 0, u32::MAX),
    ];
    let permissions = with_acl(plain(), &list(&entries)).unwrap();
    let readers: Vec<u32> =
        [7, 100, 200, 300, 400].into_iter().filter(|&gid| permissions.group_has(gid, READ)).collect();
    assert_eq!(readers, [7, 100, 200]);
    let masked = with_acl(plain(), &list(&[(8, 7, 100), (16, 0, 0), (32, 4, 0)])).unwrap();
    assert!(!masked.group_has(100, READ), "the mask takes away");
    assert!(masked.group_has(400, READ), "not named: what everyone has");
    for broken in [&list(&entries)[..9], &[3, 0, 0, 0], &[]] {
        assert!(with_acl(plain(), broken).is_none());
    }
}
