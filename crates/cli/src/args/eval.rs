//! Arguments of `eval`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// What `eval` measures.
#[derive(Debug, Subcommand)]
pub enum Eval {
    /// nDCG, recall, MRR, MAP per search mode on a BEIR-layout folder
    #[command(
        after_help = "Examples:\n  fontes eval retrieval ./scifact --json\n  fontes eval retrieval ./scifact --baseline scifact.json\n  fontes eval retrieval ./scifact --half odd --report scifact.html --runs runs/\n  fontes eval retrieval ./scifact --run other-system.run"
    )]
    Retrieval(EvalRetrieval),
    /// Citation precision and recall, answer F1, abstention on questions with gold answers
    #[command(
        after_help = "Examples:\n  fontes eval answers ./xquad-de --limit 200 --model none --json\n  fontes eval answers ./piaf-fr --limit 50 --report ./report --ablation"
    )]
    Answers(AnswersRun),
    /// Makes a known-item set of the present archive, without judgements, with a review file for a person
    #[command(
        after_help = "Examples:\n  fontes eval make ./my-set --questions 200\n  fontes eval retrieval ./my-set --json > baseline.json\n  fontes eval retrieval ./my-set --baseline baseline.json"
    )]
    Make(EvalMake),
    /// Learns how much words, meaning and documents weigh from one half of a judged set, and proves it on the other
    #[command(
        after_help = "Examples:\n  fontes eval tune ./my-set\n  fontes eval tune ./my-set --recipe my-index.toml && FONTES_INDEX__RECIPE=my-index.toml fontes serve\n  fontes eval tune ./my-set --on ./scifact --on ./xquad-de --json"
    )]
    Tune(EvalTune),
    /// Writes what quoting goes by: one JSON line per candidate sentence, to learn its weights from
    #[command(
        after_help = "Examples:\n  fontes eval signals ./xquad-de --limit 200 > xquad-de.jsonl\n  fontes eval signals ./piaf-fr > piaf-fr.jsonl"
    )]
    Signals(EvalRun),
}

/// Arguments of `eval answers`.
#[derive(Args, Debug)]
pub struct AnswersRun {
    /// The set and how much of it.
    #[command(flatten)]
    pub run: EvalRun,
    /// Write answers.json, answers.md, risk-coverage.svg and questions.jsonl into this folder; a run with the same folder goes on
    /// where an interrupted one ended
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// Measure again with one part switched off at a time: what each is worth
    #[arg(long)]
    pub ablation: bool,
}

/// Arguments of `eval retrieval`.
#[derive(Args, Debug)]
pub struct EvalRetrieval {
    /// What both evaluations take.
    #[command(flatten)]
    pub run: EvalRun,
    /// Every second query only: `even` to tune on, `odd` to report on
    #[arg(long, value_enum, value_name = "HALF")]
    pub half: Option<HalfChoice>,
    /// Write a report with plots: one page (.html), or Markdown with SVG files beside it
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Write one TREC run per mode, and the judgements, into this folder
    #[arg(long, value_name = "DIR")]
    pub runs: Option<PathBuf>,
    /// Count this TREC run of another system instead of searching
    #[arg(long = "run", value_name = "FILE")]
    pub given: Option<PathBuf>,
}

/// Half of the queries of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HalfChoice {
    /// The first, third, fifth …
    Even,
    /// The others.
    Odd,
}

/// Arguments of `eval make`.
#[derive(Args, Debug)]
pub struct EvalMake {
    /// Folder to write
    pub dir: PathBuf,
    /// How many questions, at most one per passage
    #[arg(long, default_value_t = 200)]
    pub questions: usize,
    /// Seed of the drawing
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Whose documents
    #[arg(long = "as", value_name = "PRINCIPAL")]
    pub principal: Option<String>,
}

/// Arguments of `eval tune`.
#[derive(Args, Debug)]
pub struct EvalTune {
    /// Folder with corpus.jsonl, queries.jsonl and qrels/, as `eval make` writes it
    pub dir: PathBuf,
    /// Only N queries, spread evenly over both halves
    #[arg(long, value_name = "N", value_parser = super::at_least_one)]
    pub limit: Option<usize>,
    /// Write the weights into this index recipe if they are significantly better; it begins as a copy of the one in use
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,
    /// Write them whatever was measured
    #[arg(long, requires = "recipe")]
    pub force: bool,
    /// Say also what the weights do to another set
    #[arg(long, value_name = "DIR")]
    pub on: Vec<PathBuf>,
}

/// Arguments of both evaluations.
#[derive(Args, Debug)]
pub struct EvalRun {
    /// Folder with corpus.jsonl, queries.jsonl and qrels/
    pub dir: PathBuf,
    /// Fail when a metric falls below this file's
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Only N queries, spread evenly
    #[arg(long, value_name = "N", value_parser = super::at_least_one)]
    pub limit: Option<usize>,
    /// Model to answer with (answers only); `none` quotes
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
}
