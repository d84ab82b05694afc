//! What every chunk must keep, on documents of every shape.

use fontes_core::{Block, BlockKind, Chunk, Digest, Document, DocumentId, Language, Metadata, Page, Span};
use fontes_testkit::HashEmbedder;
use proptest::prelude::*;

use super::{Chunker, Prefixer};
use crate::profile::{Context, Prefix, Profile};

fn profile(max_tokens: usize, overlap_tokens: usize) -> Profile {
    Profile { max_tokens, overlap_tokens, context: Context::None, context_tokens: 0, media_types: vec![] }
}

/// Builds a document from blocks, a blank line between them, a page for every three.
fn document(blocks: &[(BlockKind, &str)]) -> Document {
    let mut text = String::new();
    let mut placed = Vec::new();
    let mut pages = vec![];
    let mut page_start = 0;
    for (index, (kind, content)) in blocks.iter().enumerate() {
        if index > 0 {
            text.push_str("\n\n");
        }
        if index > 0 && index % 3 == 0 {
            pages.push(Span::new(page_start, text.len()));
            page_start = text.len();
        }
        let start = text.len();
        text.push_str(content);
        let page = u32::try_from(pages.len() + 1).unwrap();
        placed.push(Block { kind: *kind, span: Span::new(start, text.len()), page, bbox: None });
    }
    pages.push(Span::new(page_start, text.len()));
    let page = |(number, span)| Page::new(number, span);
    let document = Document {
        media_type: "text/plain".into(),
        metadata: Metadata::default(),
        language: Language::German,
        pages: (1..).zip(pages).map(page).collect(),
        text,
        blocks: placed,
    };
    document.validate().unwrap();
    document
}

fn cut(document: &Document, profile: &Profile) -> Vec<Chunk> {
    let embedder = HashEmbedder::new(4);
    let id = DocumentId::derive("files", b"/a");
    Chunker::new(profile, &embedder).chunk(document, id, Digest::of(b"a")).unwrap()
}

fn texts(chunks: &[Chunk]) -> Vec<&str> {
    chunks.iter().map(|chunk| chunk.text.as_str()).collect()
}

use BlockKind::{Furniture, Heading, Paragraph, Table};

#[test]
fn sections_do_not_share_a_chunk_and_know_their_path() {
    let document = document(&[
        (Heading(1), "Gesetz"),
        (Heading(2), "Art. 1"),
        (Paragraph, "Erster Text."),
        (Heading(2), "Art. 2"),
        (Paragraph, "Zweiter Text."),
        (Paragraph, "Noch ein Absatz."),
    ]);
    let chunks = cut(&document, &profile(64, 0));
    assert_eq!(
        texts(&chunks),
        ["Gesetz\n\nArt. 1\n\nErster Text.", "Art. 2\n\nZweiter Text.\n\nNoch ein Absatz."],
        "the title of the law stays with its first article"
    );
    assert_eq!(chunks[0].headings, ["Gesetz", "Art. 1"]);
    assert_eq!(chunks[1].headings, ["Gesetz", "Art. 2"]);
    assert_eq!((chunks[0].pages.first, chunks[0].pages.last), (1, 1));
    assert_eq!((chunks[1].pages.first, chunks[1].pages.last), (2, 2));
}

#[test]
fn furniture_is_never_inside_a_chunk() {
    let document = document(&[(Paragraph, "Oben."), (Furniture, "Seite 1 von 9"), (Paragraph, "Unten.")]);
    assert_eq!(texts(&cut(&document, &profile(64, 0))), ["Oben.", "Unten."]);
}

#[test]
fn text_without_blocks_is_cut_all_the_same() {
    let mut document = document(&[(Paragraph, "Ein Satz. Noch ein Satz.")]);
    document.blocks.clear();
    assert_eq!(texts(&cut(&document, &profile(64, 0))), ["Ein Satz. Noch ein Satz."]);
}

#[test]
fn overlap_repeats_whole_sentences() {
    let sentences: Vec<String> = (0..12).map(|n| format!("Satz Nummer {n} steht hier.")).collect();
    let document = document(&[(Paragraph, &sentences.join(" "))]);
    let chunks = cut(&document, &profile(20, 6));
    assert!(chunks.len() > 2);
    for pair in chunks.windows(2) {
        assert!(pair[1].span.start < pair[0].span.end, "neighbours overlap");
        assert!(pair[1].text.starts_with("Satz Nummer"), "at a sentence");
    }
}

#[test]
fn large_tables_are_cut_at_rows_and_name_their_header() {
    let rows: Vec<String> = (0..40).map(|n| format!("Ort {n}\t{n} mm\t{n} Tage")).collect();
    let table = format!("Ort\tRegen\tTage\n{}", rows.join("\n"));
    let document = document(&[(Heading(1), "Wetter"), (Table, &table)]);
    let chunks = cut(&document, &profile(32, 8));
    assert_eq!(chunks[0].text, "Wetter");
    assert!(chunks.len() > 5);
    assert_eq!(chunks[1].headings, ["Wetter"]);
    for chunk in &chunks[2..] {
        assert_eq!(chunk.headings, ["Wetter", "Ort | Regen | Tage"]);
        assert!(chunk.text.starts_with("Ort ") && chunk.text.ends_with("Tage"), "whole rows: {:?}", chunk.text);
    }
}

#[test]
fn the_language_of_a_chunk_is_its_own() {
    let german = "Die Mitglieder des Bundesrates werden von der Bundesversammlung für vier Jahre gewählt.";
    let french = "Les membres du Conseil fédéral sont élus par l'Assemblée fédérale pour une durée de quatre ans.";
    let document = document(&[(Heading(1), "A"), (Paragraph, german), (Heading(1), "B"), (Paragraph, french)]);
    let languages: Vec<_> = cut(&document, &profile(64, 0)).iter().map(|chunk| chunk.language).collect();
    assert_eq!(languages, [Language::German, Language::French]);
}

#[test]
fn settings_that_move_boundaries_move_ids() {
    let document = document(&[(Paragraph, "Ein Satz.")]);
    let base = cut(&document, &profile(64, 0))[0].id;
    assert_eq!(cut(&document, &profile(64, 0))[0].id, base);
    assert_ne!(cut(&document, &profile(65, 0))[0].id, base);
    assert_ne!(cut(&document, &profile(64, 1))[0].id, base);
}

#[test]
fn chunks_fit_the_embedder_with_context_and_all() {
    let embedder = HashEmbedder::new(4).with_max_tokens(100);
    let profile = Profile { context_tokens: 40, ..profile(256, 0) };
    assert_eq!(Chunker::new(&profile, &embedder).max_tokens(), 48);
}

#[test]
fn context_says_what_the_text_leaves_out() {
    let embedder = HashEmbedder::new(4);
    let paragraphs: Vec<String> = (0..9).map(|n| format!("Absatz {n} mit vier Worten.")).collect();
    let document = document(&[(Heading(1), "Gesetz"), (Heading(2), "Art. 1"), (Paragraph, &paragraphs.join("\n"))]);
    let chunks = cut(&document, &profile(24, 0));
    let said = |chunk, context, tokens| {
        let text = Prefixer::new("Sammlung", Prefix { context, tokens }, &embedder).embedding_text(chunk).unwrap();
        text.strip_suffix(&chunk.text).unwrap().to_owned()
    };
    assert_eq!(said(&chunks[0], Context::TitleAndHeadings, 48), "Sammlung\n", "its headings are in the text");
    assert_eq!(said(&chunks[1], Context::TitleAndHeadings, 48), "Sammlung › Gesetz › Art. 1\n");
    assert_eq!(said(&chunks[1], Context::Headings, 48), "Gesetz › Art. 1\n");
    assert_eq!(said(&chunks[1], Context::TitleAndHeadings, 2), "Sammlung ›\n");
    assert_eq!(said(&chunks[1], Context::None, 48), "");
    assert_eq!(said(&chunks[1], Context::TitleAndHeadings, 0), "");
}

fn any_block() -> impl Strategy<Value = (BlockKind, String)> {
    let kind = prop_oneof![
        (1_u8..5).prop_map(Heading),
        Just(Paragraph),
        Just(Paragraph),
        Just(Table),
        Just(Furniture),
        Just(BlockKind::ListItem),
        Just(BlockKind::Code),
    ];
    (kind, "([a-zäöüß€𝄞 .\\n\\t]{0,120}|[a-z]{1,8}( [a-z]{1,8}){0,60}\\.)")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_document_is_covered_exactly(
        blocks in prop::collection::vec(any_block(), 0..12),
        max_tokens in 16_usize..64,
        overlap_tokens in 0_usize..8,
        dropped in prop::collection::vec(any::<bool>(), 12),
    ) {
        let borrowed: Vec<(BlockKind, &str)> = blocks.iter().map(|(kind, text)| (*kind, text.as_str())).collect();
        let mut document = document(&borrowed);
        // Text that no block covers must not be lost either.
        let mut keep = dropped.into_iter();
        document.blocks.retain(|block| block.kind == Furniture || keep.next().unwrap_or(true));
        let chunks = cut(&document, &profile(max_tokens, overlap_tokens));
        let mut covered = vec![false; document.text.len()];
        for (ordinal, chunk) in chunks.iter().enumerate() {
            prop_assert_eq!(chunk.span.of(&document.text), Some(chunk.text.as_str()));
            prop_assert_eq!(chunk.ordinal as usize, ordinal);
            prop_assert!(!chunk.text.trim().is_empty() && chunk.text.trim() == chunk.text);
            let words = chunk.text.split_whitespace().count();
            prop_assert!(words <= max_tokens, "{} words, {} allowed", words, max_tokens);
            prop_assert!(1 <= chunk.pages.first && chunk.pages.last as usize <= document.pages.len());
            prop_assert_eq!(chunk.pages.to_vec(), document.pages_of(&chunk.span));
            covered[chunk.span.start..chunk.span.end].fill(true);
        }
        prop_assert!(chunks.windows(2).all(|pair| pair[0].span.start < pair[1].span.start));
        let mut seen = std::collections::BTreeSet::new();
        prop_assert!(chunks.iter().all(|chunk| seen.insert(chunk.id)));
        for (at, c) in document.text.char_indices() {
            let furniture = document.blocks.iter()
                .any(|block| block.kind == Furniture && block.span.start <= at && at < block.span.end);
            if furniture {
                prop_assert!(!covered[at], "furniture in a chunk");
            } else if !c.is_whitespace() {
                prop_assert!(covered[at], "{:?} at {} is lost", c, at);
            }
        }
    }
}

/// Covers texts longer than one window of the splitter, among them shapes that were slow or made one huge chunk.
#[test]
fn long_texts_are_covered_whatever_their_shape() {
    let shapes = [
        "Die Bundesversammlung wählt die Mitglieder des Bundesrates. Sie tagt in Bern.\n".repeat(1_000),
        "x\n".repeat(40_000),
        "株式会社の取締役。".repeat(3_000),
        "a".repeat(70_000),
        format!("eins{}zwei", " ".repeat(50_000)),
    ];
    for text in shapes {
        let document = document(&[(Paragraph, &text)]);
        let chunks = cut(&document, &profile(64, 8));
        let mut end = 0;
        for chunk in &chunks {
            assert!(text[end.min(chunk.span.start)..chunk.span.start].trim().is_empty(), "text between chunks is lost");
            assert!(chunk.span.len() <= 64 * 32 + 32 && chunk.text.split_whitespace().count() <= 64);
            assert!(chunk.span.end > end);
            end = chunk.span.end;
        }
        assert_eq!(end, text.trim_end().len());
    }
}
