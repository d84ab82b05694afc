//! The arguments of `fontes bench`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use fontes_model::decoder::{DeviceChoice, Dtype};

use super::RunnerChoice;

/// What `bench` measures.
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// Tokens per second of the embedder
    #[command(after_help = "Examples:\n  fontes bench embed\n  fontes bench embed --texts 256 --json")]
    Embed {
        /// Texts to embed
        #[arg(long, default_value_t = 64)]
        texts: usize,
    },
    /// Search latency, end to end, over the present index or a synthetic one
    #[command(
        after_help = "Examples:\n  fontes bench search queries.txt\n  fontes bench search --chunks 100000 --json\n  fontes bench search --chunks 100000 --readers 32"
    )]
    Search {
        /// File with one query a line
        #[arg(required_unless_present = "chunks")]
        queries: Option<PathBuf>,
        /// Build a temporary index of so many chunks (made-up text and vectors) and search that
        #[arg(long, value_name = "N", conflicts_with = "queries")]
        chunks: Option<usize>,
        /// Also let so many people search it, a question a second each, first alone and then while documents come in
        #[arg(long, value_name = "N", requires = "chunks", value_parser = clap::value_parser!(u16).range(1..=1024))]
        readers: Option<u16>,
    },
    /// Prefill and decode speed of a model
    #[command(
        after_help = "Examples:\n  fontes bench generate\n  fontes bench generate --model qwen2.5-coder-0.5b-instruct --prompt 2048 --json"
    )]
    Generate(BenchGenerate),
    /// Time to the first token and to the end of answers: plain, with drafts, with kept beginnings, with both
    #[command(
        after_help = "Examples:\n  fontes bench rag questions.txt\n  fontes bench rag ingest/questions.jsonl --limit 5 --json"
    )]
    Rag {
        /// File with one question a line, or JSON Lines with a `question` each
        questions: PathBuf,
        /// An installed name or a path; the configured generator by default
        #[arg(long)]
        model: Option<String>,
        /// Most tokens of an answer
        #[arg(long, default_value_t = 160)]
        max_tokens: usize,
        /// Most questions to ask
        #[arg(long, default_value_t = usize::MAX, hide_default_value = true)]
        limit: usize,
    },
    /// Pages, chunks and tokens per second of ingesting a folder into a temporary index, and where the time goes
    #[command(after_help = "Examples:\n  fontes bench ingest ~/documents\n  fontes bench ingest ~/documents --json")]
    Ingest {
        /// The folder
        dir: PathBuf,
    },
}

/// Arguments of `bench generate`.
#[derive(Args, Debug)]
pub struct BenchGenerate {
    /// An installed name or a path; the configured generator by default
    #[arg(long)]
    pub model: Option<String>,
    /// Prompt length in tokens
    #[arg(long, default_value_t = 512)]
    pub prompt: usize,
    /// Tokens to generate
    #[arg(long, default_value_t = 64)]
    pub generate: usize,
    /// Which runner computes
    #[arg(long, value_enum, default_value_t = RunnerChoice::Auto)]
    pub runner: RunnerChoice,
    /// f32, bf16, f16 or q8_0 for float weights; the configured one by default
    #[arg(long)]
    pub dtype: Option<Dtype>,
    /// cpu, cuda (the first GPU) or cuda:1 and so on; the configured one by default
    #[arg(long)]
    pub device: Option<DeviceChoice>,
}
