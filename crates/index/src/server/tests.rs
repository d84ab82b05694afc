//! Tests of the vectors' home on a server. Those that need a server run on the one that `FONTES_QDRANT_URL` names, with
//! the key in `FONTES_QDRANT_API_KEY` and, for a cluster, the copies of each shard in `FONTES_QDRANT_REPLICAS`, and say when they
//! are skipped; what needs none always runs.

use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use fontes_core::{Classification, Digest, ErrorKind, LedgerPosition};
use fontes_testkit::{Specimen, clustered_vector, conformance, scope, unit_vector};
use tempfile::TempDir;

use super::*;
use crate::{Index, Manifest, Recipe, VectorHome};

const DIMENSIONS: usize = 32;

/// Settings for one archive on the server under test, deleted in the end.
struct Place {
    settings: ServerSettings,
    dir: TempDir,
}

impl Place {
    /// `None`, and a line that says so, when no server is named.
    fn find(test: &str) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let Ok(url) = std::env::var("FONTES_QDRANT_URL") else {
            let _closed_stderr_is_no_failure = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!("SKIPPED {test}: FONTES_QDRANT_URL names no Qdrant server\n"),
            );
            return None;
        };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let settings = ServerSettings {
            url,
            api_key: std::env::var("FONTES_QDRANT_API_KEY").ok(),
            name: format!("fontes-test-{}-{number}", std::process::id()),
            shards: 2,
            replicas: std::env::var("FONTES_QDRANT_REPLICAS").map_or(1, |count| count.parse().unwrap()),
            ..unreachable_settings()
        };
        Some(Self { settings, dir: tempfile::tempdir().unwrap() })
    }

    fn home(&self) -> VectorHome {
        VectorHome::Server(self.settings.clone())
    }

    fn open_with(&self, embedder: &str, dimensions: usize, recipe: &Recipe) -> Result<Index> {
        Index::open(self.dir.path(), recipe, &identity(embedder), dimensions, &self.home())
    }

    fn open(&self) -> Result<Index> {
        self.open_with("e5", DIMENSIONS, &graph_recipe())
    }

    fn connection(&self) -> Connection {
        Connection::open(&self.settings).unwrap().0
    }

    fn collection(&self) -> String {
        Manifest::read(self.dir.path()).unwrap().unwrap().active_set().collection().unwrap().to_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _what_is_left_is_named_after_the_test = Index::discard(self.dir.path(), &self.home());
    }
}

/// Nothing listens on this port.
fn unreachable_settings() -> ServerSettings {
    ServerSettings {
        url: "http://127.0.0.1:9".into(),
        api_key: None,
        name: "fontes".into(),
        shards: 1,
        replicas: 1,
        timeout: Duration::from_secs(30),
        plain_http: false,
    }
}

/// A recipe under which a few thousand points get a graph.
fn graph_recipe() -> Recipe {
    let mut recipe = Recipe::builtin();
    recipe.vectors.full_scan_kib = 16;
    recipe
}

fn identity(name: &str) -> ModelIdentity {
    ModelIdentity { name: name.into(), sha256: Digest::of(name.as_bytes()) }
}

fn specimen(n: u32) -> Specimen {
    Specimen::new("doc", n, &format!("wort nummer{n}")).vector(unit_vector(n.into(), DIMENSIONS))
}

fn upsert(index: &dyn VectorIndex, specimens: &[Specimen]) {
    index.upsert(&specimens.iter().map(Specimen::entry).collect::<Vec<_>>()).unwrap();
    index.flush().unwrap();
}

#[test]
fn a_server_that_does_not_answer_is_unavailable() {
    let dir = tempfile::tempdir().unwrap();
    let home = VectorHome::Server(unreachable_settings());
    let error = Index::open(dir.path(), &Recipe::builtin(), &identity("e5"), DIMENSIONS, &home).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let message = error.to_string();
    assert!(
        message.ends_with("127.0.0.1:9 cannot say its version: there is no connection (Connection refused)"),
        "{message}"
    );
    assert!(error.advice().unwrap().contains("qdrant.url"));
    assert_eq!(Manifest::read(dir.path()).unwrap(), None, "nothing is begun");
}

#[test]
fn a_key_does_not_go_unencrypted_to_another_machine() {
    let keyed = ServerSettings {
        url: "http://qdrant.example:6334".into(),
        api_key: Some("secret".into()),
        ..unreachable_settings()
    };
    let error = report(&keyed).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.advice().unwrap().contains("https"), "{error}");
}

#[test]
fn an_index_does_not_change_its_home_by_being_opened() {
    let dir = tempfile::tempdir().unwrap();
    let open = |home| Index::open(dir.path(), &Recipe::builtin(), &identity("e5"), DIMENSIONS, &home);
    drop(open(VectorHome::InProcess).unwrap());
    let error = open(VectorHome::Server(unreachable_settings())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(error.advice().unwrap().contains("check --repair"));
    let manifest = Manifest::read(dir.path()).unwrap().unwrap();
    let elsewhere = crate::Place::Collection("fontes-00000000-1".into());
    let sets = manifest.sets.iter().map(|set| crate::VectorSet { place: elsewhere.clone(), ..set.clone() }).collect();
    Manifest { sets, ..manifest }.write(dir.path()).unwrap();
    let error = open(VectorHome::InProcess).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("fontes-00000000-1"), "{error}");
}

#[test]
fn conforms() {
    if Place::find("the contract on a Qdrant server").is_none() {
        return;
    }
    let places = std::sync::Mutex::new(Vec::new());
    let make = |recipe: VectorRecipe| {
        conformance::vector_index(|dimensions| {
            let place = Place::find("the contract on a Qdrant server").unwrap();
            let recipe = Recipe { vectors: recipe, ..Recipe::builtin() };
            let index = place.open_with("e5", dimensions, &recipe).unwrap();
            places.lock().unwrap().push(place);
            Vectors(index)
        });
    };
    make(graph_recipe().vectors);
    make(Recipe::builtin().vectors);
}

/// The dense half of an index as an index of its own.
struct Vectors(Index);

impl VectorIndex for Vectors {
    fn upsert(&self, entries: &[IndexEntry<'_>]) -> Result<()> {
        self.0.vectors.upsert(entries)
    }
    fn remove(&self, chunks: &[ChunkId]) -> Result<()> {
        self.0.vectors.remove(chunks)
    }
    fn flush(&self) -> Result<()> {
        self.0.vectors.flush()
    }
    fn search(&self, vector: &[f32], scope: &AccessScope, filter: &Filter, k: usize) -> Result<Vec<Candidate>> {
        self.0.vectors.search(vector, scope, filter, k)
    }
    fn vectors(&self, chunks: &[ChunkId]) -> Result<Vec<Option<Vec<f32>>>> {
        self.0.vectors.vectors(chunks)
    }
    fn ids(&self) -> Result<BTreeSet<ChunkId>> {
        self.0.vectors.ids()
    }
    fn optimize(&self) -> Result<()> {
        self.0.vectors.optimize()
    }
}

#[test]
fn what_was_written_is_there_when_it_is_opened_again() {
    let Some(place) = Place::find("opening a collection again") else { return };
    let specimens: Vec<Specimen> = (0..40).map(specimen).collect();
    {
        let index = place.open().unwrap();
        upsert(index.vectors.as_ref(), &specimens);
        index.lexical.commit(LedgerPosition(1)).unwrap();
    }
    let index = place.open().unwrap();
    assert_eq!(index.vectors.ids().unwrap(), specimens.iter().map(Specimen::id).collect());
    let report = report(&place.settings).unwrap();
    assert_eq!(
        (report.collection, report.shards, report.replicas),
        (Some(place.collection()), 2, place.settings.replicas)
    );
    drop(index);

    let error = place.open_with("minilm", DIMENSIONS, &graph_recipe()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    Index::discard(place.dir.path(), &place.home()).unwrap();
    assert_eq!(super::report(&place.settings).unwrap().collection, None, "nothing is left on the server");
    let index = place.open_with("minilm", DIMENSIONS + 1, &graph_recipe()).unwrap();
    assert!(index.vectors.ids().unwrap().is_empty());
}

#[test]
fn sets_lie_side_by_side_and_the_alias_follows_the_switch() {
    let Some(place) = Place::find("vectors of two embedders side by side") else { return };
    let (home, recipe) = (place.home(), graph_recipe());
    let index = place.open().unwrap();
    upsert(index.vectors.as_ref(), &[specimen(0), specimen(1)]);
    index.lexical.commit(LedgerPosition(1)).unwrap();
    let first = place.collection();
    drop(index);
    let name = Index::add_set(place.dir.path(), &recipe, &identity("minilm"), DIMENSIONS, &home).unwrap();
    let index = place.open().unwrap();
    upsert(index.others[0].vectors.as_ref(), &[specimen(0)]);
    assert_eq!(index.vectors.ids().unwrap().len(), 2, "each set has its own");
    index.switch(&name, crate::Measure { max_tokens: 512, embedder: identity("e5") }).unwrap();
    drop(index);
    let second = place.collection();
    assert_ne!(first, second);
    let report_of = || report(&place.settings).unwrap().collection.unwrap();
    assert_eq!(report_of(), second);
    // As after a kill between manifest and alias.
    let connection = place.connection();
    collection::lead(&connection, &place.settings.name, &first).unwrap();
    let index = place.open_with("minilm", DIMENSIONS, &recipe).unwrap();
    assert_eq!((index.vectors.ids().unwrap().len(), report_of()), (1, second));
    drop(index);
    Index::drop_set(place.dir.path(), &recipe, "e5", &home).unwrap();
    assert!(collection::info(&connection, &first).is_err(), "it is gone from the server");
}

#[test]
fn another_archive_cannot_take_the_name() {
    let Some(place) = Place::find("two archives of one name") else { return };
    upsert(place.open().unwrap().vectors.as_ref(), &[specimen(0)]);
    let other = tempfile::tempdir().unwrap();
    let open = |dir: &Path| Index::open(dir, &graph_recipe(), &identity("e5"), DIMENSIONS, &place.home());
    let error = open(other.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(error.advice().unwrap().contains("qdrant.collection"));
    Index::discard(other.path(), &place.home()).unwrap();
    assert_eq!(place.open().unwrap().vectors.ids().unwrap().len(), 1, "the other's repair takes nothing away");
}

#[test]
fn a_collection_that_is_not_as_it_was_made_is_told() {
    let Some(place) = Place::find("an altered collection") else { return };
    drop(place.open().unwrap());
    let collection = place.collection();
    let connection = place.connection();
    let error_of = |what: &str| {
        let error = place.open().expect_err(what);
        assert!(error.advice().is_some(), "{what}");
        (error.kind(), error.to_string())
    };
    let field = qdrant_client::qdrant::DeleteFieldIndexCollection {
        collection_name: collection.clone(),
        wait: Some(true),
        field_name: "groups".into(),
        ..Default::default()
    };
    connection.wait("test", connection.client.delete_field_index(field)).unwrap();
    assert_eq!(error_of("an index less").0, ErrorKind::Corrupt);
    connection.wait("test", connection.client.delete_alias(place.settings.name.as_str())).unwrap();
    assert_eq!(error_of("no alias").0, ErrorKind::Corrupt);
    connection.wait("test", connection.client.delete_collection(collection.as_str())).unwrap();
    let (kind, message) = error_of("no collection");
    assert_eq!(kind, ErrorKind::Corrupt);
    assert!(message.contains(&collection), "{message}");
    Index::discard(place.dir.path(), &place.home()).unwrap();
    place.open().unwrap();
}

#[test]
fn a_creation_that_was_cut_short_starts_over() {
    let Some(place) = Place::find("an interrupted creation") else { return };
    drop(place.open().unwrap());
    let (first, manifest) = (place.collection(), Manifest::read(place.dir.path()).unwrap().unwrap());
    Manifest { ready: false, ..manifest }.write(place.dir.path()).unwrap();
    let index = place.open().unwrap();
    assert!(index.manifest.ready && index.vectors.ids().unwrap().is_empty());
    assert_eq!(place.collection(), first, "the half that was made is gone, and its name free");
}

#[test]
fn filters_do_not_cost_recall_with_or_without_compression() {
    for quantization in [Quantization::None, Quantization::Int8] {
        let Some(place) = Place::find("recall under filters") else { return };
        let mut recipe = graph_recipe();
        recipe.vectors.quantization = quantization;
        let index = place.open_with("e5", DIMENSIONS, &recipe).unwrap();
        let specimens: Vec<Specimen> = (0..6_000)
            .map(|n| {
                let groups: &[&str] = if n % 10 == 0 { &["board"] } else { &["staff"] };
                Specimen::new("doc", n, "").groups(groups).vector(clustered_vector(n, 1, DIMENSIONS))
            })
            .collect();
        specimens.chunks(500).for_each(|batch| upsert(index.vectors.as_ref(), batch));
        index.vectors.optimize().unwrap();
        let connection = place.connection();
        let info = collection::info(&connection, &place.settings.name).unwrap();
        assert!(info.indexed_vectors_count.unwrap() >= 5_000, "there is a graph to search");
        for groups in [&["board"][..], &["board", "staff"]] {
            let queries: Vec<_> = (0..50).map(|n| clustered_vector(n * 7 + 1, 2, DIMENSIONS)).collect();
            let scope = scope(groups, Classification::Internal);
            let recall = conformance::recall_at_10(index.vectors.as_ref(), &specimens, &scope, &queries);
            assert!(recall >= 0.98, "recall@10 under {groups:?} with {quantization:?} is {recall}");
        }
    }
}
