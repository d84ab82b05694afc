//! Tests of the manifest: every format that is out there, refusals, damage.

use fontes_core::{Digest, Error, ErrorKind};

use super::*;

/// A manifest as version 1 wrote it, byte for byte. Never edit: it stands for the ones out there.
const GOLDEN_1: &str = "\
format = 1
analyzers = 1
dimensions = 384
ready = true

[embedder]
name = \"multilingual-e5-small\"
sha256 = \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"
";

/// The same of version 2, for vectors on a server. Never edit.
const GOLDEN_2: &str = "\
format = 2
analyzers = 1
dimensions = 384
ready = true
collection = \"fontes-ba7816bf-1\"

[embedder]
name = \"multilingual-e5-small\"
sha256 = \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"
";

/// The same of version 3: the first embedder, cut to 256 dimensions, is searched; another is being built. Never edit.
const GOLDEN_3: &str = "\
format = 3
analyzers = 2
ready = true
active = \"multilingual-e5-small@256\"

[[sets]]
dimensions = 256
state = \"built\"

[sets.place]
folder = \"vectors\"

[sets.embedder]
name = \"multilingual-e5-small\"
sha256 = \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"

[[sets]]
dimensions = 384
state = \"building\"

[sets.place]
collection = \"fontes-36bbe50e-2\"

[sets.embedder]
name = \"all-minilm-l6-v2\"
sha256 = \"36bbe50ed96841d10443bcb670d6554f0a34b761be67ec9c4a8ad2c0c44ca42c\"

[[measures]]
max_tokens = 512

[measures.embedder]
name = \"multilingual-e5-small\"
sha256 = \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"
";

fn identity() -> ModelIdentity {
    ModelIdentity { name: "multilingual-e5-small".into(), sha256: Digest::of(b"abc") }
}

fn manifest(dimensions: usize, place: Place) -> Manifest {
    let new = Manifest::new(VectorSet::new(identity(), dimensions, place));
    Manifest { ready: true, analyzers: 1, ..new }
}

fn dir_with(text: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(FILE), text).unwrap();
    dir
}

#[test]
fn formats_1_and_2_are_read_as_one_set_and_left_as_they_are() {
    let places = [Place::Folder("vectors".into()), Place::Collection("fontes-ba7816bf-1".into())];
    for (text, place) in [GOLDEN_1, GOLDEN_2].into_iter().zip(places) {
        let dir = dir_with(text.as_bytes());
        let read = Manifest::read(dir.path()).unwrap().unwrap();
        assert_eq!(read, manifest(384, place));
        assert_eq!((read.active.as_str(), read.others().count()), ("multilingual-e5-small@384", 0));
        assert_eq!(fs::read_to_string(dir.path().join(FILE)).unwrap(), text);
    }
}

#[test]
fn format_3_is_read_and_written() {
    let other = ModelIdentity { name: "all-minilm-l6-v2".into(), sha256: Digest::of(b"abcd") };
    let first = manifest(256, Place::Folder("vectors".into()));
    let mut expected = Manifest { analyzers: 2, ..first };
    let other = VectorSet::new(
        ModelIdentity { sha256: other_digest(), ..other },
        384,
        Place::Collection("fontes-36bbe50e-2".into()),
    );
    expected.sets.push(other);
    expected.measures.push(Measure { max_tokens: 512, embedder: identity() });
    let dir = dir_with(GOLDEN_3.as_bytes());
    let read = Manifest::read(dir.path()).unwrap().unwrap();
    assert_eq!(read, expected);
    read.write(dir.path()).unwrap();
    assert_eq!(fs::read_to_string(dir.path().join(FILE)).unwrap(), GOLDEN_3);
}

fn other_digest() -> Digest {
    "36bbe50ed96841d10443bcb670d6554f0a34b761be67ec9c4a8ad2c0c44ca42c".parse().unwrap()
}

#[test]
fn other_analysers_are_a_conflict_with_advice() {
    let manifest = Manifest { analyzers: ANALYZERS - 1, ..manifest(384, Place::Folder("vectors".into())) };
    let error = Error::from(manifest.check(Path::new("/i"), &identity(), 384).unwrap_err());
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.advice().unwrap().contains("older"));
}

#[test]
fn no_manifest_is_no_error() {
    assert_eq!(Manifest::read(tempfile::tempdir().unwrap().path()).unwrap(), None);
}

#[test]
fn another_embedder_is_a_conflict() {
    let manifest = Manifest { analyzers: ANALYZERS, ..manifest(384, Place::Folder("vectors".into())) };
    let other = ModelIdentity { name: "other".into(), sha256: Digest::of(b"other") };
    let refuse =
        |embedder, dimensions| -> Error { manifest.check(Path::new("/i"), embedder, dimensions).unwrap_err().into() };
    assert_eq!(refuse(&other, 384).kind(), ErrorKind::Conflict);
    assert_eq!(refuse(&identity(), 768).kind(), ErrorKind::Conflict);
    let renamed = ModelIdentity { name: "renamed".into(), ..identity() };
    manifest.check(Path::new("/i"), &renamed, 384).unwrap();
}

#[test]
fn a_newer_format_is_a_conflict_with_advice() {
    let newer = GOLDEN_1.replace("format = 1", "format = 4\nsomething_new = true");
    let error = Manifest::read(dir_with(newer.as_bytes()).path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.advice().unwrap().contains("newer"));
}

#[test]
fn a_damaged_manifest_is_corrupt() {
    let cut = &GOLDEN_1.as_bytes()[..60];
    let changed = |golden: &str, from: &str, to: &str| {
        assert!(golden.contains(from), "{from}");
        golden.replacen(from, to, 1)
    };
    let texts = [
        changed(GOLDEN_1, "ready", "reddy"),
        changed(GOLDEN_1, "format = 1", "format = 2"),
        changed(GOLDEN_2, "format = 2", "format = 1"),
        changed(GOLDEN_3, "ready", "reddy"),
        changed(GOLDEN_3, "small@256", "small@384"),
        changed(GOLDEN_3, "built", "building"),
        changed(GOLDEN_3, "\"vectors\"", "\"../ledger\""),
        changed(GOLDEN_3, "\"vectors\"", "\"vectors-\""),
        changed(
            &changed(GOLDEN_3, "dimensions = 384", "dimensions = 256"),
            "all-minilm-l6-v2",
            "multilingual-e5-small",
        ),
    ];
    for bytes in
        [&b""[..], b"\xff\xfe\x00", b"format = ", cut].into_iter().chain(texts.iter().map(|text| text.as_bytes()))
    {
        let error = Manifest::read(dir_with(bytes).path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{}", String::from_utf8_lossy(bytes));
        assert!(error.advice().is_some());
    }
}

#[test]
fn only_folders_of_vectors_are_taken_for_them() {
    for name in ["vectors", "vectors-2", "vectors-10"] {
        assert!(is_folder_of_vectors(name), "{name}");
    }
    for name in ["", "vectors-", "vectors-x", "vectors2", "lexical", "../vectors", "vectors-2/.."] {
        assert!(!is_folder_of_vectors(name), "{name}");
    }
}
