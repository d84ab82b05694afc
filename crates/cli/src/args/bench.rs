//! The arguments of `fontes bench`.

use super::*;

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
        after_help = "Examples:\n  fontes bench search queries.txt\n  fontes bench search --chunks 100000 --json"
    )]
    Search {
        /// File with one query a line
        #[arg(required_unless_present = "chunks")]
        queries: Option<PathBuf>,
        /// Build a temporary index of so many chunks (made-up text and vectors) and search that
        #[arg(long, value_name = "N", conflicts_with = "queries")]
        chunks: Option<usize>,
    },
    /// Prefill and decode speed of a model
    #[command(
        after_help = "Examples:\n  fontes bench generate\n  fontes bench generate --model qwen2.5-coder-0.5b-instruct --prompt 2048 --json"
    )]
    Generate {
        /// An installed name or a path; the configured generator by default
        #[arg(long)]
        model: Option<String>,
        /// Prompt length in tokens
        #[arg(long, default_value_t = 512)]
        prompt: usize,
        /// Tokens to generate
        #[arg(long, default_value_t = 64)]
        generate: usize,
        /// Which runner computes
        #[arg(long, value_enum, default_value_t = RunnerChoice::Auto)]
        runner: RunnerChoice,
    },
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }

    #[test]
    fn days_end_where_they_do() {
        let seconds = |text| {
            let end = super::end_of_day(text).unwrap();
            end.duration_since(super::SystemTime::UNIX_EPOCH).unwrap().as_secs()
        };
        assert_eq!(seconds("1970-01-01"), 86_399);
        assert_eq!(seconds("2000-02-29"), 951_868_799);
        assert_eq!(seconds("2026-11-25"), 1_795_651_199);
        for text in ["2026", "2026-13-01", "1969-12-31", "25.11.2026", "2026-11-25-1"] {
            assert!(super::end_of_day(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_command_shows_examples() {
        fn look(command: &clap::Command, path: &str) {
            let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let shown = examples.lines().filter(|line| line.trim_start().starts_with("fontes ")).count();
            assert!(command.is_hide_set() || shown >= 2, "{path} shows {shown} examples");
            for inside in command.get_subcommands() {
                look(inside, &format!("{path} {}", inside.get_name()));
            }
        }
        look(&super::Cli::command(), "fontes");
    }

    #[test]
    fn spans_are_read_as_json_gives_them() {
        assert_eq!(super::span("12..40"), Ok(fontes_core::Span::new(12, 40)));
        for wrong in ["12", "12..", "a..b", "40..12", "-1..3"] {
            assert!(super::span(wrong).is_err(), "{wrong}");
        }
    }
}
