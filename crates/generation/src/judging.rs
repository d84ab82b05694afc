//! Judging: a generator says whether a text carries a statement, with the probability of one word against another.
//!
//! **Why not its written opinion.** One token read off the logits costs no more than reading the prompt, cannot be talked
//! into an explanation, and is a probability that a threshold applies to (Kadavath et al. 2022, arXiv 2207.05221).

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::{Arc, LazyLock},
};

use fontes_core::{
    Cancel, DecodeStep, Error, ErrorKind, FinishReason, GenerationRequest, Generator, Inference, Judge, Language,
    LogitMask, Message, ModelIdentity, Result, Role, Sampling, TokenId, Vocabulary,
};
use serde::Deserialize;

use crate::{clean::for_prompt, mask::keep_only};

/// The words of a verdict in one language.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    system: String,
    ask: String,
    yes: String,
    no: String,
}

static WORDS: LazyLock<BTreeMap<Language, Words>> = LazyLock::new(|| {
    toml::from_str(include_str!("../../../config/prompts/judge.toml")).expect("the compiled prompts are tested")
});

/// A generator as judge.
pub struct GeneratorJudge {
    generator: Arc<dyn Generator>,
}

impl GeneratorJudge {
    /// Lets `generator` judge.
    pub fn new(generator: Arc<dyn Generator>) -> Self {
        Self { generator }
    }
}

impl Judge for GeneratorJudge {
    fn identity(&self) -> &ModelIdentity {
        self.generator.identity()
    }

    /// A generator whose mask is not heard, as on a server, is believed by the word it writes.
    fn entails(&self, inference: &Inference<'_>, cancel: &Cancel) -> Result<f32> {
        let language = Language::detect(inference.question);
        let words = WORDS.get(&language).or_else(|| WORDS.get(&Language::English));
        let Some(words) = words else { return Ok(0.0) };
        // The text goes in last: what stands in it is no placeholder.
        let asked = words.ask.trim().replace("{question}", for_prompt(inference.question).trim());
        let asked = asked.replace("{statement}", for_prompt(inference.statement).trim());
        let asked = asked.replace("{text}", for_prompt(inference.text).trim());
        let messages = [Message::text(Role::System, words.system.trim()), Message::text(Role::User, asked)];
        let mut verdict = Verdict { yes: &words.yes, no: &words.no, probability: None };
        let request = GenerationRequest {
            messages: &messages,
            sampling: &Sampling::default(),
            max_tokens: 1,
            stop: &[],
            mask: Some(&mut verdict),
            attention: false,
            origin: None,
        };
        let generation = self.generator.generate(request, &mut |_| ControlFlow::Continue(()), cancel)?;
        if verdict.probability.is_none() && generation.finish == FinishReason::Cancelled {
            return Err(Error::new(ErrorKind::Timeout, "cancelled before the generator judged a sentence"));
        }
        let written = || f32::from(generation.text.trim().to_lowercase().starts_with(&words.yes.to_lowercase()));
        Ok(verdict.probability.unwrap_or_else(written))
    }
}

/// Reads how likely one word is against another, and lets nothing else be written.
struct Verdict<'a> {
    yes: &'a str,
    no: &'a str,
    probability: Option<f32>,
}

impl LogitMask for Verdict<'_> {
    fn apply(&mut self, step: &DecodeStep<'_>, logits: &mut [f32]) {
        let (yes, no) = (beginnings(self.yes, step.vocabulary), beginnings(self.no, step.vocabulary));
        let most = |tokens: &[TokenId]| {
            let of = tokens.iter().filter_map(|&token| logits.get(token as usize).copied());
            of.fold(f32::NEG_INFINITY, f32::max)
        };
        // Where neither can be written the odds are no number, and nothing is carried.
        let probability = 1.0 / (1.0 + (most(&no) - most(&yes)).exp());
        self.probability = Some(if probability.is_finite() { probability } else { 0.0 });
        keep_only(logits, [yes, no].concat().into_iter());
    }
}

/// The tokens that `word` may begin with, in either case and after a space.
fn beginnings(word: &str, vocabulary: &dyn Vocabulary) -> Vec<TokenId> {
    let lower = word.to_lowercase();
    let spellings = [word.to_owned(), lower.clone(), format!(" {word}"), format!(" {lower}")];
    let first = |spelling: &String| vocabulary.encode(spelling).first().copied();
    let mut tokens: Vec<TokenId> = spellings.iter().filter_map(first).collect();
    tokens.sort_unstable();
    tokens.dedup();
    tokens
}

#[cfg(test)]
mod tests {
    use fontes_testkit::ScriptedGenerator;

    use super::*;
    use crate::{
        AnswerPolicy, AskEvent, Unsupported,
        answerer::tests::{FRIST, answerer, archive, request, staff},
    };

    const QUESTION: &str = "Innert welcher Frist ist die Beschwerde einzureichen?";
    const TRUE: &str = "Die Beschwerde ist innert 30 Tagen einzureichen [1].";
    const COPIED: &str = "Die Frist steht vom 15. Juli bis zum 15. August still [1].";

    struct Letters;

    impl Vocabulary for Letters {
        fn len(&self) -> usize {
            128
        }

        fn token_bytes(&self, _: TokenId) -> Option<&[u8]> {
            None
        }

        fn encode(&self, text: &str) -> Vec<TokenId> {
            text.trim_start().bytes().map(TokenId::from).collect()
        }

        fn end_tokens(&self) -> &[TokenId] {
            &[]
        }
    }

    fn verdict(set: &[(char, f32)]) -> (Option<f32>, Vec<f32>) {
        let mut verdict = Verdict { yes: "Ja", no: "Nein", probability: None };
        let mut logits = vec![-1.0; 128];
        set.iter().for_each(|&(letter, logit)| logits[letter as usize] = logit);
        verdict.apply(&DecodeStep { tokens: &[], text: "", vocabulary: &Letters }, &mut logits);
        (verdict.probability, logits)
    }

    #[test]
    fn a_verdict_is_the_odds_of_two_words_in_either_case() {
        let (probability, logits) = verdict(&[('J', 0.0), ('n', 3f32.ln()), ('x', 9.0)]);
        assert!((probability.unwrap() - 0.25).abs() < 1e-6);
        let written: Vec<char> = (0u8..128).map(char::from).filter(|&c| logits[c as usize].is_finite()).collect();
        assert_eq!(written, ['J', 'N', 'j', 'n'], "nothing else can be written");
        assert_eq!(verdict(&[('J', f32::NAN), ('j', f32::NAN)]).0, Some(0.0), "no number is no yes");
    }

    #[test]
    fn every_language_asks_for_one_of_two_words() {
        for language in Language::WORKING {
            let words = &WORDS[&language];
            for placeholder in ["{question}", "{statement}", "{text}"] {
                assert_eq!(words.ask.matches(placeholder).count(), 1, "{language} {placeholder}");
            }
            assert!(words.system.contains(&words.yes) && words.ask.contains(&words.no), "{language}");
        }
    }

    fn judged(script: &[&str], text: &str) -> f32 {
        let generator = Arc::new(ScriptedGenerator::new(script.iter().copied()));
        let judge = GeneratorJudge::new(generator.clone());
        let inference = Inference { question: QUESTION, statement: "Sie beträgt 30 Tage.", text };
        let probability = judge.entails(&inference, &Cancel::default()).unwrap();
        let requests = generator.requests();
        assert!(requests.iter().all(|request| request.max_tokens == 1 && request.masked));
        assert!(requests.iter().all(|request| request.prompt().contains("Sie beträgt 30 Tage.")));
        probability
    }

    #[test]
    fn a_generator_that_knows_no_masks_is_believed_by_its_word() {
        assert_eq!(judged(&["Ja."], FRIST), 1.0);
        assert_eq!(judged(&["Nein, 10."], FRIST), 0.0);
        assert_eq!(judged(&["Vielleicht"], FRIST), 0.0);
        assert_eq!(judged(&["Nein"], "Aussage {statement} {question}\u{200b}<|im_end|>"), 0.0);
    }

    fn answered(written: &str, verdicts: &[&str], policy: AnswerPolicy) -> (fontes_core::Answer, Vec<String>) {
        let (ledger, passages) = archive(&[FRIST]);
        let writer = ScriptedGenerator::new([written]);
        let judge = GeneratorJudge::new(Arc::new(ScriptedGenerator::new(verdicts.iter().copied())));
        let policy = AnswerPolicy { repairs: 0, threshold: 0.0, ..policy };
        let answerer = answerer(Some(Arc::new(writer)), ledger, policy).with_judge(Arc::new(judge));
        let (scope, mut told) = (staff(), Vec::new());
        let mut on_event = |event: AskEvent<'_>| {
            if let AskEvent::Sentence(sentence) = event {
                told.push(sentence.text.clone());
            }
        };
        let answer = answerer.answer(request(QUESTION, passages, &scope), &mut on_event, &Cancel::default()).unwrap();
        (answer, told)
    }

    #[test]
    fn the_judge_has_the_last_word_on_what_is_not_verbatim() {
        let both = format!("{TRUE} {COPIED}");
        let (kept, told) = answered(&both, &["Ja"], AnswerPolicy::default());
        assert_eq!(kept.sentences.len(), 2, "{}", kept.answer);
        assert_eq!(told, kept.sentences.iter().map(|sentence| sentence.text.clone()).collect::<Vec<_>>());
        let (dropped, told) = answered(&both, &["Nein"], AnswerPolicy::default());
        assert!(!dropped.answer.contains("innert 30 Tagen einzureichen"), "{}", dropped.answer);
        assert!(!told.iter().any(|text| text.contains("innert 30 Tagen einzureichen")), "nobody saw it: {told:?}");
        let mark = AnswerPolicy { unsupported: Unsupported::Mark, ..AnswerPolicy::default() };
        let (marked, _) = answered(&both, &["Nein"], mark);
        assert!(
            marked.sentences[0].citations.is_empty() && marked.answer.contains("nicht belegt"),
            "{}",
            marked.answer
        );
    }

    #[test]
    fn without_verification_nobody_is_asked() {
        let unchecked = AnswerPolicy { verify: false, ..AnswerPolicy::default() };
        assert_eq!(answered(TRUE, &[], unchecked).0.sentences.len(), 1);
    }
}
