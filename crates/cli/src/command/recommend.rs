//! Which model suits a machine: from what it was measured to do at best to what an answer would cost.
//!
//! Reading a prompt is bound by multiply-adds, generating by reading the weights. `docs/benchmarks.md` says what share of either
//! limit our kernels reach; the shares here are on the careful side of that.

use fontes_model::kernels::{Isa, Roofline};

/// A size of Apertus.
struct Size {
    name: &'static str,
    parameters: f64,
    /// Bytes of keys and values per token, in half precision.
    kv_bytes: f64,
}

/// From the largest to the smallest. The last three are the Minis; keys and values of theirs are estimated from their sizes.
static SIZES: [Size; 5] = [
    Size { name: "Apertus 70B", parameters: 70.6e9, kv_bytes: 327_680.0 },
    Size { name: "Apertus 8B", parameters: 8.05e9, kv_bytes: 131_072.0 },
    Size { name: "Apertus 4B", parameters: 4.0e9, kv_bytes: 81_920.0 },
    Size { name: "Apertus 1.5B", parameters: 1.5e9, kv_bytes: 40_960.0 },
    Size { name: "Apertus 0.5B", parameters: 0.5e9, kv_bytes: 24_576.0 },
];

/// How weights may be stored, from the finest: GGUF name and bits per weight, scales included.
const QUANTISATIONS: [(&str, f64); 3] = [("Q8_0", 8.5), ("Q6_K", 6.6), ("Q4_K_M", 4.85)];

/// A question with its passages.
const PROMPT: f64 = 3000.0;

/// Longest wait for the first word that people accept of a search.
const PATIENCE_SECONDS: f64 = 30.0;

/// Words are read at some three tokens a second.
const READING_SPEED: f64 = 4.0;

/// Share of the bandwidth that generating reaches.
const BANDWIDTH_SHARE: f64 = 0.6;

/// What to run.
#[derive(Debug, PartialEq)]
pub struct Recommendation {
    /// The model.
    pub model: &'static str,
    /// How it should be quantised.
    pub quantisation: &'static str,
    /// Tokens of prompt that are read within half a minute.
    pub context: usize,
    /// Expected tokens generated per second after such a prompt.
    pub tokens_per_second: f64,
}

/// The largest model, and its finest quantisation, that fits half of `memory`, keeps up with reading and says its first word in
/// half a minute after 3,000 tokens; else the smallest that fits. Nothing when none does.
pub fn recommend(isa: Isa, limits: &Roofline, memory: u64) -> Option<Recommendation> {
    let room = memory as f64 / 2.0;
    let weigh = |size: &'static Size, (quantisation, bits): (&'static str, f64)| {
        let weights = size.parameters * bits / 8.0;
        let cache = size.kv_bytes * PROMPT;
        let prefill = limits.multiply_adds_per_second * multiply_share(isa) / size.parameters;
        let tokens_per_second = limits.bytes_per_second * BANDWIDTH_SHARE / (weights + cache);
        // Contexts are given in thousands, and a few hundred tokens of prompt need no promise.
        let context = (((prefill * PATIENCE_SECONDS) / 1000.0).floor() * 1000.0).clamp(1000.0, 32_000.0) as usize;
        let fits = weights + cache <= room;
        let pleasant = prefill * PATIENCE_SECONDS >= PROMPT && tokens_per_second >= READING_SPEED;
        (fits, pleasant, Recommendation { model: size.name, quantisation, context, tokens_per_second })
    };
    let all = SIZES.iter().flat_map(|size| QUANTISATIONS.map(|quantisation| weigh(size, quantisation)));
    let mut fitting: Vec<_> = all.filter(|(fits, ..)| *fits).collect();
    match fitting.iter().position(|(_, pleasant, _)| *pleasant) {
        Some(best) => Some(fitting.swap_remove(best).2),
        None => fitting.pop().map(|(.., smallest)| smallest),
    }
}

/// Share of the peak of multiply-adds that reading a prompt reaches: the faster they are, the more the rest counts.
fn multiply_share(isa: Isa) -> f64 {
    if isa == Isa::Amx { 0.15 } else { 0.4 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(gmacs: f64, gbs: f64) -> Roofline {
        Roofline { multiply_adds_per_second: gmacs * 1e9, bytes_per_second: gbs * 1e9 }
    }

    #[test]
    fn small_machines_get_small_models_and_large_ones_large() {
        let small = recommend(Isa::Avx512Vnni, &limits(466.0, 60.0), 22 << 30).unwrap();
        assert_eq!((small.model, small.quantisation), ("Apertus 1.5B", "Q8_0"));
        let server = recommend(Isa::Amx, &limits(60_000.0, 200.0), 256 << 30).unwrap();
        assert_eq!(server.model, "Apertus 8B");
        assert!(server.context >= 3000 && server.tokens_per_second > 8.0);
        let old = recommend(Isa::Portable, &limits(5.0, 8.0), 8 << 30).unwrap();
        assert_eq!((old.model, old.quantisation, old.context), ("Apertus 0.5B", "Q4_K_M", 1000));
    }

    #[test]
    fn memory_comes_first() {
        assert_eq!(recommend(Isa::Amx, &limits(60_000.0, 300.0), 3 << 30).unwrap().model, "Apertus 1.5B");
        assert_eq!(recommend(Isa::Amx, &limits(60_000.0, 300.0), 100 << 20), None);
    }
}
