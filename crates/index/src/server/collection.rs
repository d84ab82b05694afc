//! The collection of an archive: set up, checked when it is opened, deleted when it is replaced.
//!
//! A collection is called after the archive's name, the embedder and a number; the server makes it once or not at all, so
//! its name is what tells archives apart. It notes what filled it. The archive's own name is an alias that is set last: a
//! collection that is half set up is never searched. Whoever restores a snapshot may point the alias to the copy.

use std::collections::HashMap;

use fontes_core::ModelIdentity;
use qdrant_client::{
    Payload,
    qdrant::{
        AliasDescription, CollectionInfo, CreateAlias, CreateCollection, CreateFieldIndexCollection, Distance,
        HnswConfigDiff, OptimizersConfigDiff, QuantizationType, ScalarQuantization, Value, VectorParams,
        quantization_config::Quantization as ServerQuantization, vectors_config::Config,
    },
};
use serde_json::json;

use super::{connection::Connection, convert::field_type, error::ServerError, settings::ServerSettings};
use crate::{
    point::FIELDS,
    recipe::{Quantization, VectorRecipe},
};

/// Version of what is noted with a collection and stored in its points.
const FORMAT: i64 = 1;
/// Note: the format.
const NOTE_FORMAT: &str = "fontes_format";
/// Note: the name under which the collection was made, which names the archive's index.
const NOTE_INDEX: &str = "fontes_index";
/// Note: name of the embedder.
const NOTE_EMBEDDER: &str = "embedder";
/// Note: digest of the embedder.
const NOTE_SHA256: &str = "embedder_sha256";

/// Checks that an archive's name is not taken.
///
/// # Errors
/// [`ServerError::Foreign`] when it is.
pub(super) fn require_free(connection: &Connection, name: &str) -> Result<(), ServerError> {
    let foreign = |what: String| Err(ServerError::Foreign { name: name.to_owned(), what });
    if let Some(collection) = aliased(connection, name)? {
        return foreign(format!("it is an alias of collection {collection:?}"));
    }
    if exists(connection, name)? { foreign("it is a collection".into()) } else { Ok(()) }
}

/// Makes an empty collection that no alias points to, and gives its name.
pub(super) fn create(
    connection: &Connection,
    settings: &ServerSettings,
    recipe: &VectorRecipe,
    embedder: &ModelIdentity,
    dimensions: usize,
) -> Result<String, ServerError> {
    let digest = embedder.sha256.to_string();
    let mut names = (1..).map(|number| format!("{}-{digest:.8}-{number}", settings.name));
    let collection = loop {
        let name = names.next().expect("there is always a next number");
        if !exists(connection, &name)? {
            break name;
        }
    };
    let notes = json!({
        NOTE_FORMAT: FORMAT, NOTE_INDEX: collection, NOTE_EMBEDDER: embedder.name, NOTE_SHA256: digest,
    });
    let notes: HashMap<String, Value> = Payload::try_from(notes).expect("notes are an object").into();
    let request = CreateCollection {
        collection_name: collection.clone(),
        vectors_config: Some(Config::Params(vectors(recipe, dimensions)).into()),
        hnsw_config: Some(graph(recipe)),
        optimizers_config: Some(OptimizersConfigDiff {
            indexing_threshold: Some(recipe.full_scan_kib as u64),
            ..Default::default()
        }),
        quantization_config: quantization(recipe).map(Into::into),
        shard_number: Some(settings.shards),
        replication_factor: Some(settings.replicas),
        write_consistency_factor: Some(settings.acknowledged()),
        metadata: notes,
        ..CreateCollection::default()
    };
    connection.wait("create a collection", connection.client.create_collection(request))?;
    Ok(collection)
}

/// Indexes every field of `collection`.
pub(super) fn index_fields(connection: &Connection, collection: &str) -> Result<(), ServerError> {
    for (field, kind) in FIELDS {
        let request = CreateFieldIndexCollection {
            collection_name: collection.to_owned(),
            wait: Some(true),
            field_name: field.into(),
            field_type: Some(field_type(kind).into()),
            ..Default::default()
        };
        connection.wait("index a payload field", connection.client.create_field_index(request))?;
    }
    Ok(())
}

/// Points the archive's name to `collection`; the server moves it in one step from where it pointed before.
pub(super) fn lead(connection: &Connection, name: &str, collection: &str) -> Result<(), ServerError> {
    let alias = CreateAlias { collection_name: collection.to_owned(), alias_name: name.to_owned() };
    connection.wait("set an alias", connection.client.create_alias(alias))?;
    Ok(())
}

/// Says whether the archive's name points to what was made as one of `own`, or to nothing.
pub(super) fn leads_to_any(connection: &Connection, name: &str, own: &[&str]) -> Result<bool, ServerError> {
    let Some(collection) = aliased(connection, name)? else { return Ok(true) };
    let made = note(&info(connection, &collection)?, NOTE_INDEX);
    Ok(made.is_some_and(|made| own.contains(&made.as_str())))
}

/// Checks that `name` leads to the collection that was made as `index`, or a copy of it: an alias, or `index` itself.
///
/// # Errors
/// [`ServerError::Foreign`], [`ServerError::OtherEmbedder`], [`ServerError::Altered`].
pub(super) fn check(
    connection: &Connection,
    name: &str,
    index: &str,
    embedder: &ModelIdentity,
    dimensions: usize,
) -> Result<(), ServerError> {
    let led_to = match name == index {
        true => exists(connection, index)?.then(|| index.to_owned()),
        false => aliased(connection, name)?,
    };
    let Some(collection) = led_to else {
        let what = format!("no alias {name:?} points to it, or it is gone");
        return Err(ServerError::Altered { collection: index.to_owned(), what });
    };
    let altered = |what: &str| ServerError::Altered { collection: collection.clone(), what: what.into() };
    let info = info(connection, &collection)?;
    if note(&info, NOTE_INDEX).as_deref() != Some(index) {
        let what = format!("it is an alias of collection {collection:?}, and this archive made {index:?}");
        return Err(ServerError::Foreign { name: name.to_owned(), what });
    }
    // The weights make the vectors; a model may be renamed.
    let (built, digest) = (note(&info, NOTE_EMBEDDER), note(&info, NOTE_SHA256));
    if digest.as_ref() != Some(&embedder.sha256.to_string()) {
        let built = format!("{} ({})", built.unwrap_or_default(), digest.unwrap_or_default());
        return Err(ServerError::OtherEmbedder { collection, built, given: Box::new(embedder.clone()) });
    }
    if note(&info, NOTE_FORMAT) != Some(FORMAT.to_string()) {
        return Err(altered("its format is not the one this program knows"));
    }
    let params = info.config.as_ref().and_then(|config| config.params.as_ref());
    let vectors = params.and_then(|params| params.vectors_config.as_ref()).and_then(|vectors| vectors.config.as_ref());
    match vectors {
        Some(Config::Params(vectors))
            if vectors.size == dimensions as u64 && vectors.distance() == Distance::Cosine => {}
        _ => return Err(altered("its vectors are of another length or distance")),
    }
    if FIELDS.iter().any(|(field, _)| !info.payload_schema.contains_key(*field)) {
        return Err(altered("a payload index is missing"));
    }
    Ok(())
}

/// Deletes what the index `index` made: its collection, and the copy that the archive's name leads to, if any.
pub(super) fn delete(connection: &Connection, name: &str, index: &str) -> Result<(), ServerError> {
    for collection in aliased(connection, name)?.into_iter().chain([index.to_owned()]) {
        if exists(connection, &collection)?
            && note(&info(connection, &collection)?, NOTE_INDEX).as_deref() == Some(index)
        {
            connection.wait("delete a collection", connection.client.delete_collection(collection))?;
        }
    }
    Ok(())
}

/// The collection to which `alias` points.
pub(super) fn aliased(connection: &Connection, alias: &str) -> Result<Option<String>, ServerError> {
    let aliases = connection.wait("list aliases", connection.client.list_aliases())?.aliases;
    let points =
        |description: AliasDescription| (description.alias_name == alias).then_some(description.collection_name);
    Ok(aliases.into_iter().find_map(points))
}

/// What the server says of a collection.
pub(super) fn info(connection: &Connection, collection: &str) -> Result<CollectionInfo, ServerError> {
    const ACTION: &str = "describe the collection";
    let reply = connection.wait(ACTION, connection.client.collection_info(collection))?;
    reply.result.ok_or_else(|| connection.unexpected(ACTION, "nothing"))
}

fn exists(connection: &Connection, collection: &str) -> Result<bool, ServerError> {
    connection.wait("look for a collection", connection.client.collection_exists(collection))
}

/// What is noted with a collection, as text.
fn note(info: &CollectionInfo, key: &str) -> Option<String> {
    match info.config.as_ref()?.metadata.get(key)?.clone().into_json() {
        serde_json::Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

#[expect(deprecated, reason = "the field that replaces `on_disk` is not known to every server that will do")]
fn vectors(recipe: &VectorRecipe, dimensions: usize) -> VectorParams {
    VectorParams {
        size: dimensions as u64,
        distance: Distance::Cosine.into(),
        on_disk: Some(recipe.on_disk),
        ..VectorParams::default()
    }
}

fn graph(recipe: &VectorRecipe) -> HnswConfigDiff {
    HnswConfigDiff {
        m: Some(recipe.m as u64),
        ef_construct: Some(recipe.ef_construct as u64),
        full_scan_threshold: Some(recipe.full_scan_kib as u64),
        // Filtered searches use ACORN; extra links per payload value would only cost build time.
        payload_m: Some(0),
        ..HnswConfigDiff::default()
    }
}

#[expect(deprecated, reason = "the field that replaces `always_ram` is not known to every server that will do")]
fn quantization(recipe: &VectorRecipe) -> Option<ServerQuantization> {
    match recipe.quantization {
        Quantization::None => None,
        Quantization::Int8 => Some(ServerQuantization::Scalar(ScalarQuantization {
            r#type: QuantizationType::Int8.into(),
            quantile: Some(0.99),
            always_ram: Some(true),
            ..ScalarQuantization::default()
        })),
    }
}
