//! The regression gate: figures that must not get worse.

use std::{collections::BTreeMap, fmt, path::Path};

use fontes_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// How much a figure may fall by chance of rounding and still pass.
const TOLERANCE: f64 = 0.005;

/// Figures where less is better.
const LESS_IS_BETTER: [&str; 2] = ["abstained", "false_answers"];

/// Figures to hold, as read from an earlier report or written by hand: `{"metrics": {"ndcg@10": 0.74}}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Figures by name.
    pub metrics: BTreeMap<String, f64>,
}

/// A figure that got worse.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Regression {
    /// Its name.
    pub metric: String,
    /// What the baseline says.
    pub baseline: f64,
    /// What was measured; `None` when it was not measured at all.
    pub measured: Option<f64>,
}

impl Baseline {
    /// Reads a baseline; a whole report is one too.
    ///
    /// # Errors
    /// [`fontes_core::ErrorKind::Invalid`] naming the file.
    pub fn open(path: &Path) -> Result<Self> {
        let malformed = |error: Box<dyn std::error::Error + Send + Sync>| {
            Error::invalid(format!("baseline {} cannot be read", path.display()))
                .because(error)
                .advise("give the JSON report of an earlier evaluation")
        };
        let text = std::fs::read_to_string(path).map_err(|error| malformed(error.into()))?;
        serde_json::from_str(&text).map_err(|error| malformed(error.into()))
    }

    /// The figures of `measured` that are worse than here by more than rounding; empty when the gate passes.
    pub fn regressions(&self, measured: &BTreeMap<String, f64>) -> Vec<Regression> {
        let worse = |(metric, &baseline): (&String, &f64)| {
            let now = measured.get(metric).copied();
            let fallen = now.is_none_or(|now| {
                let loss = if LESS_IS_BETTER.contains(&metric.as_str()) { now - baseline } else { baseline - now };
                loss > TOLERANCE || loss.is_nan()
            });
            fallen.then(|| Regression { metric: metric.clone(), baseline, measured: now })
        };
        self.metrics.iter().filter_map(worse).collect()
    }
}

impl fmt::Display for Regression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.measured {
            Some(measured) => write!(f, "{} was {:.4}, is {measured:.4}", self.metric, self.baseline),
            None => write!(f, "{} was {:.4}, was not measured", self.metric, self.baseline),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worse_is_named_and_better_passes() {
        let figures = |entries: &[(&str, f64)]| -> BTreeMap<String, f64> {
            entries.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
        };
        let baseline = Baseline { metrics: figures(&[("ndcg@10", 0.74), ("false_answers", 0.10), ("map", 0.5)]) };
        let passes = figures(&[("ndcg@10", 0.737), ("false_answers", 0.02), ("map", 0.9), ("new", 0.0)]);
        assert!(baseline.regressions(&passes).is_empty());
        let fails = figures(&[("ndcg@10", 0.70), ("false_answers", 0.20)]);
        let named: Vec<String> = baseline.regressions(&fails).iter().map(ToString::to_string).collect();
        assert_eq!(
            named,
            [
                "false_answers was 0.1000, is 0.2000",
                "map was 0.5000, was not measured",
                "ndcg@10 was 0.7400, is 0.7000"
            ]
        );
    }

    #[test]
    fn a_report_is_a_baseline() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("report.json");
        let report = crate::retrieval::tests::report();
        std::fs::write(&path, serde_json::to_string(&report).unwrap()).unwrap();
        assert!(Baseline::open(&path).unwrap().regressions(&report.metrics).is_empty());
        std::fs::write(&path, "{").unwrap();
        assert_eq!(Baseline::open(&path).unwrap_err().kind(), fontes_core::ErrorKind::Invalid);
    }
}
