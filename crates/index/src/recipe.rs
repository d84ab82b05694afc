//! Recipes: how an index is built and searched, as a file in the repository (`indexes/*/index.toml`).
//!
//! A recipe holds choices, never state: the embedder and its dimensions come from the installed model, and what
//! an index was really built with stands in its [`crate::Manifest`].

use serde::Deserialize;

use crate::error::IndexError;

/// The recipe that is compiled in.
const BUILTIN: &str = include_str!("../../../indexes/default/index.toml");

/// A parsed and validated recipe. Unknown keys are refused.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Version of the recipe's own format; 1.
    pub format: u32,
    /// The vector index.
    pub vectors: VectorRecipe,
    /// The lexical index.
    pub lexical: LexicalRecipe,
    /// How the two legs are put together.
    pub fusion: FusionRecipe,
}

/// Settings of the vector index.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VectorRecipe {
    /// Edges per node of the HNSW graph (Malkov and Yashunin 2018), 4 to 128.
    pub m: usize,
    /// Beam width while the graph is built, 4 to 4096.
    pub ef_construct: usize,
    /// Beam width while it is searched, 1 to 4096.
    pub ef_search: usize,
    /// Below this many KiB of vectors, in a segment or left by a filter, the search is exact and no graph is built.
    pub full_scan_kib: usize,
    /// Compressed copies of the vectors.
    pub quantization: Quantization,
    /// Whether full vectors are memory-mapped and may be paged out, instead of held.
    pub on_disk: bool,
}

/// Compressed copies of the vectors, searched first and rescored with the full ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantization {
    /// None: the search uses the full vectors.
    None,
    /// One byte per dimension.
    Int8,
}

/// Settings of the lexical index.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LexicalRecipe {
    /// Memory that staged chunks may take before they are written out, in MiB; at least 16.
    pub writer_memory_mib: usize,
    /// How fast repetitions of a word stop counting: `k1` of BM25.
    pub k1: f32,
    /// How much longer chunks are discounted: `b` of BM25, 0 to 1.
    pub b: f32,
    /// The same for titles and headings.
    pub b_short: f32,
    /// What a match is worth, by form and field.
    pub weights: FieldWeights,
}

/// What a match is worth, relative to the word in the text as it was typed, but for case. The forms and fields of one
/// word are added up as frequencies before they saturate.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldWeights {
    /// The word with other accents, or a citation in another language.
    pub folded: f32,
    /// The stem of the word in the chunk's language.
    pub stem: f32,
    /// In the document's title, in any form.
    pub title: f32,
    /// In the headings above the chunk, in any form.
    pub headings: f32,
    /// A compound for a part of it, or its parts for a compound.
    pub compound: f32,
    /// Added once when the spelling as typed occurs, so that it stands before others of like frequency; a share of
    /// the word's rarity.
    pub spelling: f32,
    /// Words that stand side by side as in a reference; a share of their rarity.
    pub phrase: f32,
}

/// How the ranked lists of the two legs become one; used by `retrieval`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusionRecipe {
    /// The method.
    pub method: FusionMethod,
    /// The constant of reciprocal rank fusion.
    pub k: f32,
    /// Weight of the dense leg.
    pub dense: f32,
    /// Weight of the lexical leg.
    pub lexical: f32,
    /// Candidates taken from each leg, at least as many as hits are wanted.
    pub candidates: usize,
    /// What a site has learnt about its own documents (`fontes eval tune`); nothing counts unless it is there.
    #[serde(default)]
    pub learnt: LearntWeights,
}

/// `[fusion.learnt]`: weights beside those of the legs' scores, in a weighted sum; 0 is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LearntWeights {
    /// Of the reciprocal rank in the dense list.
    pub dense_rank: f32,
    /// Of the reciprocal rank in the lexical list.
    pub lexical_rank: f32,
    /// Of the share of a title's words that the question has; this and what follows may be negative.
    pub title: f32,
    /// Of a chunk in the language of the question.
    pub language: f32,
    /// Of the length of a chunk.
    pub length: f32,
    /// Of newer documents among the candidates.
    pub freshness: f32,
}

/// Methods of fusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FusionMethod {
    /// Weighted reciprocal rank fusion (Cormack et al. 2009).
    Rrf,
    /// Weighted sum of scores, each leg scaled to 0..=1 by the extremes of its list.
    WeightedSum,
}

impl Recipe {
    /// The only format.
    pub const FORMAT: u32 = 1;

    /// The recipe in `indexes/default/index.toml`.
    pub fn builtin() -> Self {
        Self::parse(BUILTIN).expect("the compiled-in recipe is tested")
    }

    /// The text of the recipe in `indexes/default/index.toml`, comments and all.
    pub fn builtin_text() -> &'static str {
        BUILTIN
    }

    /// Parses and validates a recipe.
    ///
    /// # Errors
    /// [`fontes_core::ErrorKind::Invalid`], naming the line, key or range.
    pub fn parse(text: &str) -> fontes_core::Result<Self> {
        let recipe: Self = toml::from_str(text).map_err(|error| IndexError::Recipe(error.to_string()))?;
        recipe.validate()?;
        Ok(recipe)
    }

    fn validate(&self) -> Result<(), IndexError> {
        let Self { vectors, lexical, fusion, .. } = self;
        let weights = lexical.weights;
        let learnt = fusion.learnt;
        let documents = [learnt.title, learnt.language, learnt.length, learnt.freshness];
        let usable = |weight: f32| weight.is_finite() && weight >= 0.0;
        let checks = [
            (self.format == Self::FORMAT, "format is not 1"),
            ((4..=128).contains(&vectors.m), "vectors.m is not within 4 and 128"),
            ((4..=4096).contains(&vectors.ef_construct), "vectors.ef_construct is not within 4 and 4096"),
            ((1..=4096).contains(&vectors.ef_search), "vectors.ef_search is not within 1 and 4096"),
            (vectors.full_scan_kib >= 1, "vectors.full_scan_kib is 0"),
            ((16..=4096).contains(&lexical.writer_memory_mib), "lexical.writer_memory_mib is not within 16 and 4096"),
            (lexical.k1.is_finite() && lexical.k1 > 0.0, "lexical.k1 is not above 0"),
            ((0.0..=1.0).contains(&lexical.b), "lexical.b is not within 0 and 1"),
            ((0.0..=1.0).contains(&lexical.b_short), "lexical.b_short is not within 0 and 1"),
            (
                [weights.folded, weights.stem, weights.title, weights.headings]
                    .into_iter()
                    .chain([weights.compound, weights.spelling, weights.phrase])
                    .all(usable),
                "lexical.weights holds a negative or infinite weight",
            ),
            (usable(fusion.k) && usable(fusion.dense) && usable(fusion.lexical), "fusion holds a negative number"),
            (
                usable(learnt.dense_rank) && usable(learnt.lexical_rank) && documents.into_iter().all(f32::is_finite),
                "fusion holds a weight that is not finite, or a negative one of a leg",
            ),
            (fusion.candidates >= 1, "fusion.candidates is 0"),
        ];
        match checks.into_iter().find(|(holds, _)| !holds) {
            Some((_, what)) => Err(IndexError::Recipe(what.to_owned())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use fontes_core::ErrorKind;

    use super::*;

    #[test]
    fn the_builtin_recipe_is_what_its_comments_say() {
        let recipe = Recipe::builtin();
        assert_eq!((recipe.fusion.method, recipe.fusion.k), (FusionMethod::WeightedSum, 60.0));
        assert_eq!(recipe.vectors.quantization, Quantization::None);
        assert_eq!(recipe.lexical.writer_memory_mib, 64);
    }

    #[test]
    fn what_a_site_has_learnt_is_read() {
        assert_eq!(Recipe::builtin().fusion.learnt, LearntWeights::default());
        let learnt = format!("{BUILTIN}\n[fusion.learnt]\ntitle = 0.25\nlength = -0.1\n");
        let expected = LearntWeights { title: 0.25, length: -0.1, ..LearntWeights::default() };
        assert_eq!(Recipe::parse(&learnt).unwrap().fusion.learnt, expected);
        for wrong in ["dense_rank = -1.0", "title = inf", "colour = 1.0"] {
            assert!(Recipe::parse(&format!("{BUILTIN}\n[fusion.learnt]\n{wrong}\n")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bad_recipes_are_named() {
        let cases = [
            ("format = 1", "format = 2", "format"),
            ("\nm = 16", "\nm = 1000", "vectors.m"),
            ("\nm = 16", "\nm = 16\nmm = 1", "mm"),
            ("quantization = \"none\"", "quantization = \"binary\"", "binary"),
            ("stem = ", "stem = -", "negative"),
            ("[fusion]", "[fusion", "TOML"),
        ];
        for (from, to, named) in cases {
            assert!(BUILTIN.contains(from), "{from}");
            let error = Recipe::parse(&BUILTIN.replacen(from, to, 1)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().contains(named), "{to}: {error}");
        }
    }
}
