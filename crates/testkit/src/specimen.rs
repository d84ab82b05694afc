//! Builders for test data: chunks with their document and vector, principals, unit vectors.

use std::collections::{BTreeMap, BTreeSet};

use fontes_core::{
    AccessPolicy, AccessScope, Chunk, ChunkId, ChunkRecord, Classification, Digest, DocumentId, DocumentSummary, Group,
    IndexEntry, Labels, Language, PageRange, Principal, Span,
};

/// An access policy with one principal called `tester`.
pub fn policy(groups: &[&str], clearance: Classification) -> AccessPolicy {
    let principal = Principal { groups: group_set(groups), clearance };
    AccessPolicy {
        default_principal: "tester".into(),
        default_groups: group_set(&["staff"]),
        default_classification: Classification::Internal,
        principals: BTreeMap::from([("tester".into(), principal)]),
    }
}

/// The scope of someone in `groups` cleared up to `clearance`.
pub fn scope(groups: &[&str], clearance: Classification) -> AccessScope {
    policy(groups, clearance).scope(None).expect("the default principal is known")
}

/// A direction in `dimensions` dimensions that is always the same for `seed` and spread evenly over seeds.
pub fn unit_vector(seed: u64, dimensions: usize) -> Vec<f32> {
    let mut state = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut uniform = || {
        // SplitMix64 (Steele et al. 2014), the top 24 bits as a fraction.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1_u64 << 24) as f32
    };
    // The sum of four uniforms is near enough to a normal for the direction to be evenly spread.
    let mut vector: Vec<f32> = (0..dimensions).map(|_| (0..4).map(|_| uniform()).sum::<f32>() - 2.0).collect();
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|x| *x /= length);
    vector
}

/// A vector of unit length near one of 64 centres, as embeddings are: uniform directions would all be equally far from
/// each other. Other seeds have other centres.
pub fn clustered_vector(n: u32, seed: u64, dimensions: usize) -> Vec<f32> {
    let centre = unit_vector(u64::from(n) % 64 + 1_000_000 * seed, dimensions);
    let noise = unit_vector(u64::from(n) + 7_000_000 + seed, dimensions);
    let mut vector: Vec<f32> = centre.iter().zip(noise).map(|(c, x)| c + 0.8 * x).collect();
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|x| *x /= length);
    vector
}

/// A chunk with its document and its vector: what [`IndexEntry`] borrows from.
///
/// By default: German, group `staff`, classification internal, source `files`, plain text.
#[derive(Clone, Debug)]
pub struct Specimen {
    /// The chunk.
    pub chunk: Chunk,
    /// Its document.
    pub document: DocumentSummary,
    /// Its embedding; empty until [`Specimen::vector`].
    pub vector: Vec<f32>,
}

impl Specimen {
    /// Makes chunk number `ordinal` of the document at `path`. The same path and ordinal give the same chunk
    /// id, whatever the text.
    pub fn new(path: &str, ordinal: u32, text: &str) -> Self {
        let labels =
            Labels { groups: group_set(&["staff"]), classification: Classification::Internal, source: "files".into() };
        let id = DocumentId::derive(&labels.source, path.as_bytes());
        let sha256 = Digest::of(path.as_bytes());
        let span = Span::new(0, text.len());
        let chunk = Chunk {
            id: ChunkId::derive(id, sha256, "specimen", ordinal, Span::default()),
            document: id,
            ordinal,
            span,
            pages: PageRange { first: 1, last: 1 },
            headings: Vec::new(),
            language: Language::German,
            text: text.to_owned(),
        };
        let document = DocumentSummary {
            id,
            sha256,
            title: String::new(),
            path: path.to_owned(),
            media_type: "text/plain".into(),
            language: Language::German,
            author: None,
            created: None,
            patient: Vec::new(),
            revision: 1,
            pages: 1,
            labels,
        };
        Self { chunk, document, vector: Vec::new() }
    }

    /// Sets the embedding.
    #[must_use]
    pub fn vector(self, vector: Vec<f32>) -> Self {
        Self { vector, ..self }
    }

    /// Sets the language of the chunk and of its document.
    #[must_use]
    pub fn language(mut self, language: Language) -> Self {
        self.chunk.language = language;
        self.document.language = language;
        self
    }

    /// Sets the groups that may see it.
    #[must_use]
    pub fn groups(mut self, groups: &[&str]) -> Self {
        self.document.labels.groups = group_set(groups);
        self
    }

    /// Sets how closely it is held.
    #[must_use]
    pub fn classification(mut self, classification: Classification) -> Self {
        self.document.labels.classification = classification;
        self
    }

    /// Sets the name of its source. The ids stay.
    #[must_use]
    pub fn source(mut self, source: &str) -> Self {
        self.document.labels.source = source.to_owned();
        self
    }

    /// Sets the media type.
    #[must_use]
    pub fn media_type(mut self, media_type: &str) -> Self {
        self.document.media_type = media_type.to_owned();
        self
    }

    /// Sets who wrote it, and when (RFC 3339).
    #[must_use]
    pub fn written(mut self, author: &str, created: &str) -> Self {
        self.document.author = Some(author.to_owned());
        self.document.created = Some(created.to_owned());
        self
    }

    /// Sets the names of the patient it is about.
    #[must_use]
    pub fn patient(mut self, names: &[&str]) -> Self {
        self.document.patient = names.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// Sets the title of the document.
    #[must_use]
    pub fn title(mut self, title: &str) -> Self {
        self.document.title = title.to_owned();
        self
    }

    /// Sets the headings above the chunk, highest first.
    #[must_use]
    pub fn headings(mut self, headings: &[&str]) -> Self {
        self.chunk.headings = headings.iter().map(|&heading| heading.to_owned()).collect();
        self
    }

    /// Borrows it as both indexes take it.
    pub fn entry(&self) -> IndexEntry<'_> {
        IndexEntry { chunk: &self.chunk, document: &self.document, vector: &self.vector }
    }

    /// The chunk's id.
    pub fn id(&self) -> ChunkId {
        self.chunk.id
    }

    /// Copies it as the ledger gives it out.
    pub fn record(&self) -> ChunkRecord {
        ChunkRecord { chunk: self.chunk.clone(), document: self.document.clone() }
    }
}

fn group_set(names: &[&str]) -> BTreeSet<Group> {
    names.iter().map(|&name| Group(name.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_vectors_are_of_unit_length_and_differ() {
        let (a, b) = (unit_vector(1, 32), unit_vector(2, 32));
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
        assert!((dot(&a, &a) - 1.0).abs() < 1e-5);
        assert!(dot(&a, &b).abs() < 0.7);
        assert_eq!(a, unit_vector(1, 32));
    }

    #[test]
    fn the_same_place_has_the_same_id() {
        assert_eq!(Specimen::new("a", 0, "x").id(), Specimen::new("a", 0, "y").language(Language::French).id());
        assert_ne!(Specimen::new("a", 0, "x").id(), Specimen::new("a", 1, "x").id());
        assert_ne!(Specimen::new("a", 0, "x").id(), Specimen::new("b", 0, "x").id());
    }
}
