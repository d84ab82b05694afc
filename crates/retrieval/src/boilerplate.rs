//! Boilerplate: letterheads, disclaimers and clauses that many documents have in the same words.
//!
//! A question whose words a disclaimer has finds every mail that ends with it, and the document that says what the
//! disclaimer means comes after all of them. So one hit stands for a shared text. Others that consist of it for the most
//! part, have no word of the question in the rest, and none that this one lacks, **step back** behind all that says something
//! else.
//!
//! **Why at query time.** What is shared is counted over the candidates of the search, all within the scope of whoever
//! asks: what they may not see has no influence, nothing is stored, nothing must be erased or brought up to date. See
//! `docs/decisions/0021-boilerplate-when-asked.md`.

use std::collections::{BTreeSet, HashMap, HashSet};

use fontes_core::{Hit, Result};

use crate::duplicate::{Wording, words};

/// Words in a row that must be the same; fewer between two such runs are an entry in a form.
const RUN: usize = 12;

/// In how many different texts a run must stand. Fewer are versions and quotations, which people want to see.
const MANY: u8 = 5;

/// Share of its words that makes a text one that consists of shared words for the most part.
const MOSTLY: f32 = 0.5;

/// Share of a hit's shared runs that the one which stands for it must have: chunks end at different places.
const HELD: f32 = 0.8;

/// The shared texts among the candidates of one search.
#[derive(Default)]
pub(crate) struct Boilerplate {
    /// Texts that were counted: copies count once.
    texts: HashSet<u64>,
    /// How many texts have a run, and the number of the last one.
    counts: HashMap<u64, (u8, usize)>,
    /// Whether any run is shared: mostly none is.
    found: bool,
    leaders: Vec<Leader>,
}

/// What a text has in common with others.
struct Shared {
    runs: HashSet<u64>,
    /// The words outside of them.
    rest: HashSet<u64>,
}

/// A hit that stands for a shared text.
struct Leader {
    runs: HashSet<u64>,
    /// Words of the question that it holds.
    terms: BTreeSet<String>,
}

impl Boilerplate {
    /// Takes a candidate into account.
    pub(crate) fn count(&mut self, wording: &Wording) {
        if !self.texts.insert(run(&wording.text)) {
            return;
        }
        let number = self.texts.len();
        for one in runs(&wording.text) {
            let (count, last) = self.counts.entry(one).or_default();
            if *last != number {
                (*count, *last) = (count.saturating_add(1), number);
                self.found |= *count >= MANY;
            }
        }
    }

    /// Says whether the next best hit steps back; `terms` are the words of the question that a hit holds, asked for only
    /// when it consists of shared words.
    pub(crate) fn steps_back(
        &mut self,
        hit: &Hit,
        wording: &Wording,
        terms: impl FnOnce(&Hit) -> Result<BTreeSet<String>>,
    ) -> Result<bool> {
        let Some(Shared { runs, rest }) = self.shared(wording) else { return Ok(false) };
        let terms = terms(hit)?;
        // As it is spelled: other forms of it are not recognised here.
        let in_rest = terms.iter().flat_map(|term| words(term)).any(|word| rest.contains(&word));
        let stands_for = |leader: &Leader| {
            let held = runs.intersection(&leader.runs).count();
            held as f32 >= HELD * runs.len() as f32 && terms.is_subset(&leader.terms)
        };
        let back = !terms.is_empty() && !in_rest && self.leaders.iter().any(stands_for);
        if !back {
            self.leaders.push(Leader { runs, terms });
        }
        Ok(back)
    }

    /// The shared runs of a text that consists of them for the most part. A few words between or behind them are an entry
    /// in a form, or what differs between two versions: such a text has no boilerplate.
    fn shared(&self, wording: &Wording) -> Option<Shared> {
        if !self.found {
            return None;
        }
        let (mut found, mut rest, mut end) = (HashSet::new(), Vec::new(), 0);
        let entry = |from: usize, to: usize| from > 0 && to > from && to - from < RUN;
        for (start, one) in runs(&wording.text).enumerate() {
            if self.counts.get(&one).is_some_and(|(count, _)| *count >= MANY) {
                if entry(end, start) {
                    return None;
                }
                rest.extend(&wording.text[end.min(start)..start]);
                end = start + RUN;
                found.insert(one);
            }
        }
        rest.extend(&wording.text[end..]);
        let mostly = (wording.text.len() - rest.len()) as f32 > MOSTLY * wording.text.len() as f32;
        let rest = rest.into_iter().collect();
        (mostly && !entry(end, wording.text.len())).then_some(Shared { runs: found, rest })
    }
}

fn runs(words: &[u64]) -> impl Iterator<Item = u64> {
    words.windows(RUN).map(run)
}

/// Joins hashes of words to one (the multiplier is that of FxHash).
fn run(words: &[u64]) -> u64 {
    words.iter().fold(0, |joined: u64, word| (joined.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95))
}

#[cfg(test)]
mod tests {
    use fontes_core::Scores;
    use fontes_testkit::Specimen;

    use super::*;
    use crate::{Fused, LegShares, gate};

    const NOTICE: &str = "Diese Nachricht ist vertraulich und nur für die Person bestimmt an die sie gerichtet ist wer \
                          sie irrtümlich erhält löscht sie und darf ihren Inhalt nicht an andere weitergeben";

    fn hit(text: &str) -> Hit {
        let record = Specimen::new("mail", 0, text).record();
        let fused = Fused {
            chunk: record.chunk.id,
            scores: Scores::default(),
            score: 0.0,
            shares: LegShares::default(),
            legs: [0.0; 4],
        };
        gate::hit(&fused, &record)
    }

    /// Which of the texts step back, for a question of these words.
    fn back(texts: &[String], question: &[&str]) -> Vec<bool> {
        let hits: Vec<Hit> = texts.iter().map(|text| hit(text)).collect();
        let mut boilerplate = Boilerplate::default();
        let wording = |hit: &Hit| Wording::of(&hit.text, &hit.headings);
        hits.iter().for_each(|hit| boilerplate.count(&wording(hit)));
        let held =
            |hit: &Hit| question.iter().filter(|word| hit.text.contains(**word)).map(|&word| word.into()).collect();
        hits.iter().map(|hit| boilerplate.steps_back(hit, &wording(hit), |hit| Ok(held(hit))).unwrap()).collect()
    }

    fn mails(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("Guten Tag, die Unterlagen Nummer {n} liegen bei. {NOTICE}")).collect()
    }

    #[test]
    fn one_mail_stands_for_the_notice_of_all() {
        assert_eq!(back(&mails(6), &["vertraulich", "weitergeben"]), [false, true, true, true, true, true]);
    }

    #[test]
    fn mails_about_what_is_asked_stay() {
        let mut mails = mails(6);
        mails[3] = format!("Die Sitzung ist am 5. Mai. {NOTICE}");
        let back = back(&mails, &["vertraulich", "Sitzung"]);
        assert_eq!(back, [false, true, true, false, true, true]);
        // Each says something of its own about it.
        assert_eq!(self::back(&self::mails(6), &["vertraulich", "Unterlagen"]), [false; 6]);
        // Found by similarity alone: nobody knows which part was similar.
        assert_eq!(self::back(&mails, &["confidential"]), [false; 6]);
    }

    #[test]
    fn few_texts_copies_and_forms_share_nothing() {
        assert_eq!(back(&mails(4), &["vertraulich"]), [false; 4]);
        assert_eq!(back(&vec![mails(1).remove(0); 9], &["vertraulich"]), [false; 9]);
        let form = |n: usize| {
            format!(
                "Der Blutdruck bei Eintritt im Liegen betrug 1{n} Puls {n} und wurde nach dem Aufstehen mit 9{n} gemessen"
            )
        };
        assert_eq!(back(&(0..9).map(form).collect::<Vec<_>>(), &["Blutdruck"]), [false; 9]);
        let versions = |n: usize| format!("{NOTICE} die Gebühr beträgt {n} Franken {NOTICE}");
        assert_eq!(back(&(0..9).map(versions).collect::<Vec<_>>(), &["Gebühr"]), [false; 9]);
        let long = |n: usize| format!("{NOTICE} {}", format!("Absatz{n} ").repeat(60));
        assert_eq!(back(&(0..9).map(long).collect::<Vec<_>>(), &["vertraulich"]), [false; 9]);
    }
}
