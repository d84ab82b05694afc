//! Ranking metrics by the definitions of `trec_eval` 9: gain is the grade, discount is `log2(rank + 1)`, and
//! anything graded above 0 is relevant.

use std::collections::BTreeMap;

/// Grade per document id. What is not in it was not judged and counts as irrelevant.
pub type Judgements = BTreeMap<String, i32>;

fn grade(judged: &Judgements, id: &str) -> i32 {
    judged.get(id).copied().unwrap_or(0)
}

fn relevant(judged: &Judgements) -> usize {
    judged.values().filter(|grade| **grade > 0).count()
}

/// `ndcg_cut_k`: discounted gain of the first `k` over that of the best possible order (Järvelin and
/// Kekäläinen 2002, with linear gain).
pub fn ndcg(ranked: &[String], judged: &Judgements, k: usize) -> f64 {
    let discounted = |grades: &mut dyn Iterator<Item = i32>| -> f64 {
        let gains = grades.take(k).enumerate().filter(|(_, grade)| *grade > 0);
        // Not `sum`, which is -0 for nothing.
        gains.map(|(at, grade)| f64::from(grade) / ((at + 2) as f64).log2()).fold(0.0, |sum, gain| sum + gain)
    };
    let mut ideal: Vec<i32> = judged.values().copied().collect();
    ideal.sort_unstable_by(|a, b| b.cmp(a));
    let best = discounted(&mut ideal.into_iter());
    if best == 0.0 { 0.0 } else { discounted(&mut ranked.iter().map(|id| grade(judged, id))) / best }
}

/// `recall_k`: the share of relevant documents among the first `k`.
pub fn recall(ranked: &[String], judged: &Judgements, k: usize) -> f64 {
    let found = ranked.iter().take(k).filter(|id| grade(judged, id) > 0).count();
    ratio(found, relevant(judged))
}

/// `recip_rank` within the first `k`: one over the rank of the first relevant document, 0 without one.
pub fn reciprocal_rank(ranked: &[String], judged: &Judgements, k: usize) -> f64 {
    ranked.iter().take(k).position(|id| grade(judged, id) > 0).map_or(0.0, |at| 1.0 / (at + 1) as f64)
}

/// `map`: precision at the rank of each relevant document, averaged over all relevant ones.
pub fn average_precision(ranked: &[String], judged: &Judgements) -> f64 {
    let mut found = 0;
    let mut sum = 0.0;
    for (at, id) in ranked.iter().enumerate() {
        if grade(judged, id) > 0 {
            found += 1;
            sum += f64::from(found) / (at + 1) as f64;
        }
    }
    let total = relevant(judged);
    if total == 0 { 0.0 } else { sum / total as f64 }
}

/// `success_k`: 1 when a relevant document is among the first `k`, else 0.
pub fn success(ranked: &[String], judged: &Judgements, k: usize) -> f64 {
    f64::from(u8::from(ranked.iter().take(k).any(|id| grade(judged, id) > 0)))
}

/// 1 when every relevant document is among the first `k`, else 0: whether a question that needs several gets them all.
pub fn complete(ranked: &[String], judged: &Judgements, k: usize) -> f64 {
    let found = ranked.iter().take(k).filter(|id| grade(judged, id) > 0).count();
    f64::from(u8::from(found > 0 && found == relevant(judged)))
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    fn ids(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn by_hand() {
        let judged: Judgements = [("a".into(), 2), ("b".into(), 1), ("c".into(), 0), ("d".into(), 1)].into();
        let ranked = ids("x a c b");
        // Gains 0, 2, 0, 1 at discounts 1, log2 3, 2, log2 5; ideal 2, 1, 1.
        let gained = 2.0 / 3f64.log2() + 1.0 / 5f64.log2();
        let ideal = 2.0 + 1.0 / 3f64.log2() + 1.0 / 2.0;
        assert!((ndcg(&ranked, &judged, 10) - gained / ideal).abs() < 1e-12);
        assert!((recall(&ranked, &judged, 2) - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(reciprocal_rank(&ranked, &judged, 10), 0.5);
        assert_eq!(reciprocal_rank(&ranked, &judged, 1), 0.0);
        assert!((average_precision(&ranked, &judged) - (0.5 + 0.5) / 3.0).abs() < 1e-12);
        assert_eq!((success(&ranked, &judged, 1), success(&ranked, &judged, 2)), (0.0, 1.0));
        let all = ids("x a c b d");
        assert_eq!(
            (complete(&all, &judged, 4), complete(&all, &judged, 5), complete(&ranked, &judged, 9)),
            (0.0, 1.0, 0.0)
        );
    }

    #[test]
    fn nothing_relevant_and_nothing_found_are_zero() {
        let none: Judgements = [("a".into(), 0), ("b".into(), -1)].into();
        let some: Judgements = [("a".into(), 1)].into();
        for (ranked, judged) in [(ids("a b"), &none), (ids(""), &some)] {
            assert_eq!(ndcg(&ranked, judged, 10), 0.0);
            assert_eq!(recall(&ranked, judged, 10), 0.0);
            assert_eq!(average_precision(&ranked, judged), 0.0);
            assert_eq!(success(&ranked, judged, 10), 0.0);
            assert_eq!(complete(&ranked, judged, 10), 0.0);
        }
    }

    #[derive(Deserialize)]
    struct Reference {
        ranked: Vec<String>,
        judged: Judgements,
        expected: BTreeMap<String, f64>,
    }

    #[test]
    fn agrees_with_pytrec_eval() {
        let text = include_str!("../../../tests/fixtures/eval/pytrec_eval.json");
        let cases: Vec<Reference> = serde_json::from_str(text).unwrap();
        assert!(cases.len() >= 50);
        for case in cases {
            let (ranked, judged) = (&case.ranked, &case.judged);
            for (name, expected) in &case.expected {
                let ours = match name.as_str() {
                    "ndcg_cut_10" => ndcg(ranked, judged, 10),
                    "recall_5" => recall(ranked, judged, 5),
                    "recall_100" => recall(ranked, judged, 100),
                    "recip_rank" => reciprocal_rank(ranked, judged, usize::MAX),
                    "map" => average_precision(ranked, judged),
                    "success_5" => success(ranked, judged, 5),
                    other => panic!("{other} is not compared"),
                };
                assert!((ours - expected).abs() < 1e-6, "{name}: {ours} against {expected}");
            }
        }
    }
}
