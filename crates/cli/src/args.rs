//! The command line as typed. What it means is decided in `config` and `command`; here are only words.

mod bench;
mod embedders;
mod eval;
mod searching;

use std::{
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use fontes_core::{DocumentId, Filter, FilterField, SearchMode, Span};
use fontes_model::decoder::{DeviceChoice, Dtype};

pub use self::{
    bench::{Bench, BenchGenerate, WayChoice},
    embedders::Embedders,
    eval::{AnswersRun, Eval, EvalMake, EvalRetrieval, EvalRun, EvalTune, HalfChoice},
    searching::Searching,
};

/// Asks your own document archive and answers with sources, on machines you control.
#[derive(Debug, Parser)]
#[command(
    name = "fontes",
    version,
    arg_required_else_help = true,
    after_help = "\
Examples:
  fontes demo                                  try it on the bundled samples
  fontes ingest ~/documents                    index a folder (resumable, repeatable)
  fontes ask \"Wie lange gilt die Bewilligung?\"  a cited answer

Exit codes: 0 done · 1 nothing found / the sources do not say · 2 error · 3 done, some files quarantined · 130 interrupted"
)]
pub struct Cli {
    /// Flags every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags every command takes.
#[derive(Args, Clone, Debug)]
pub struct Global {
    /// Configuration file (TOML); `fontes config show` prints every key
    #[arg(long, global = true, env = "FONTES_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where indexes and ledger live
    #[arg(long, global = true, env = "FONTES_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Print one JSON object (or JSON Lines) on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// No progress, no remarks
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// More remarks on stderr
    #[arg(long, short, global = true)]
    pub verbose: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Installs the small models if missing, ingests the samples, asks in German and English
    #[command(
        after_help = "Examples:\n  fontes demo\n  fontes demo --no-generator      quotes only, no language model\n  fontes demo --json"
    )]
    Demo(Demo),
    /// Manages model files: list, install, add, verify, remove, probe, quantize
    #[command(
        after_help = "Examples:\n  fontes models list\n  fontes models install multilingual-e5-small\n  fontes models verify"
    )]
    Models {
        /// What to do with models.
        #[command(subcommand)]
        command: Models,
    },
    /// Changes the embedder while the archive stays in use: list, add, use, drop
    #[command(
        after_help = "Examples:\n  fontes embedders                             which there are, and how far each is\n  fontes embedders add all-minilm-l6-v2        computes its vectors beside the others; interruptible\n  fontes embedders use all-minilm-l6-v2        searches with them from now on\n  fontes embedders drop multilingual-e5-small  takes the old ones away"
    )]
    Embedders {
        /// What to do; `list` when nothing is said.
        #[command(subcommand)]
        command: Option<Embedders>,
    },
    /// Indexes files, folders and archives; repeat it any time, only changes are processed
    #[command(
        after_help = "Examples:\n  fontes ingest ~/documents\n  fontes ingest contract.pdf mails/ --report report.jsonl\n  fontes ingest ~/documents --dry-run --json\n  fontes ingest --watch                        all configured sources, for ever"
    )]
    Ingest(Ingest),
    /// Makes running and later ingests wait, until `fontes resume`
    #[command(after_help = "Examples:\n  fontes pause\n  fontes pause --data-dir /var/lib/fontes")]
    Pause,
    /// Lets ingests go on after `fontes pause`
    #[command(after_help = "Examples:\n  fontes resume\n  fontes resume --data-dir /var/lib/fontes")]
    Resume,
    /// Shows what is indexed, by which models, and what is pending or quarantined
    #[command(after_help = "Examples:\n  fontes status\n  fontes status --json")]
    Status,
    /// Finds passages, no generation
    #[command(
        after_help = "Examples:\n  fontes search \"Kündigungsfrist\"\n  fontes search \"Art. 5 Abs. 2\" --mode lexical -k 20\n  fontes search \"délai de recours\" --filter language=fr --explain\n  fontes search \"Gebühr\" --as-of 2024-06-30\n  fontes search \"Wie lange gilt die Bewilligung und was kostet sie?\" --explain"
    )]
    Search(Search),
    /// Answers a question with citations
    #[command(
        after_help = "Examples:\n  fontes ask \"Wer bewilligt Telearbeit?\"\n  fontes ask \"How long are files kept?\" --json\n  fontes ask \"Quanto costa?\" --model none      quotes only\n  fontes ask \"Und im Sommer?\" --after \"Wie lange dauert die Einsprachefrist?\"\n  fontes ask --replay answer.json"
    )]
    Ask(Ask),
    /// Shows a document's stored text and metadata, or draws a page with the cited place marked
    #[command(
        after_help = "Examples:\n  fontes show 0b9c2f0e-…\n  fontes show 0b9c2f0e-… --page 3 --json\n  fontes show 0b9c2f0e-… --page 3 --span 5120..5240 --png page.png\n  fontes show 0b9c2f0e-… --as-of 2026-01-31"
    )]
    Show(Show),
    /// Erases documents everywhere and proves it
    #[command(after_help = "Examples:\n  fontes forget 0b9c2f0e-…\n  fontes forget 0b9c2f0e-… 77aa01d2-… --json")]
    Forget {
        /// Documents to erase
        #[arg(required = true, value_name = "DOCUMENT_ID")]
        documents: Vec<DocumentId>,
    },
    /// Proves that ledger and both indexes hold the same, and that models match their digests
    #[command(after_help = "Examples:\n  fontes check\n  fontes check --repair --json")]
    Check {
        /// Bring the indexes back to what the ledger says
        #[arg(long)]
        repair: bool,
    },
    /// Measures retrieval or answers on an evaluation set
    #[command(
        after_help = "Examples:\n  fontes eval retrieval ./scifact\n  fontes eval answers ./xquad-de --model none --json"
    )]
    Eval {
        /// What to measure.
        #[command(subcommand)]
        command: Eval,
    },
    /// Measures speed on this machine
    #[command(
        after_help = "Examples:\n  fontes bench embed\n  fontes bench search --chunks 100000\n  fontes bench ingest ~/documents --json"
    )]
    Bench {
        /// What to measure.
        #[command(subcommand)]
        command: Bench,
    },
    /// Serves the page and the HTTP interface
    #[command(after_help = "Examples:\n  fontes serve\n  fontes serve --listen 127.0.0.1:9000")]
    Serve {
        /// Address to listen on; only loopback addresses are accepted
        #[arg(long, env = "FONTES_LISTEN", value_name = "ADDR")]
        listen: Option<SocketAddr>,
    },
    /// Looks at this machine: what will run well here and what will not
    #[command(after_help = "Examples:\n  fontes doctor\n  fontes doctor --json")]
    Doctor,
    /// Shows the settings in force, or what can be set
    #[command(after_help = "Examples:\n  fontes config show\n  fontes config schema > fontes.schema.json")]
    Config {
        /// What to show.
        #[command(subcommand)]
        command: Settings,
    },
    /// Prints shell completions
    #[command(
        after_help = "Examples:\n  fontes completions bash > ~/.local/share/bash-completion/completions/fontes\n  fontes completions zsh > ~/.zfunc/_fontes"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Writes man pages into a folder
    #[command(after_help = "Examples:\n  fontes man ~/.local/share/man/man1\n  fontes man /usr/local/share/man/man1")]
    Man {
        /// The folder
        dir: PathBuf,
    },
    /// Parses one document after another for the parent process (internal)
    #[command(hide = true)]
    ExtractWorker,
}

/// What `config` shows.
#[derive(Debug, Subcommand)]
pub enum Settings {
    /// Prints every setting as it is in force: defaults, file, environment and flags together
    #[command(
        after_help = "Examples:\n  fontes config show\n  fontes config show --config site.toml\n  fontes config show --json"
    )]
    Show,
    /// Prints the JSON schema of the configuration file, for editors and checks
    #[command(
        after_help = "Examples:\n  fontes config schema > fontes.schema.json\n  fontes config schema | jq .properties.ingest"
    )]
    Schema,
}

/// Arguments of `demo`.
#[derive(Args, Debug)]
pub struct Demo {
    /// Folder with the samples; found beside the program's source by default
    #[arg(long, value_name = "DIR")]
    pub samples: Option<PathBuf>,
    /// Quote the sources instead of installing and running a language model
    #[arg(long)]
    pub no_generator: bool,
}

/// Commands on models.
#[derive(Debug, Subcommand)]
pub enum Models {
    /// Lists known and installed models
    #[command(after_help = "Examples:\n  fontes models list\n  fontes models list --json")]
    List,
    /// Downloads a model, checks its digest, installs it
    #[command(
        after_help = "Examples:\n  fontes models install multilingual-e5-small\n  fontes models install apertus-v1.1-1.5b-instruct"
    )]
    Install {
        /// Name in the manifest
        name: String,
    },
    /// Installs a model from a file or folder at hand
    #[command(
        after_help = "Examples:\n  fontes models add ./Apertus-8B-Instruct-2509\n  fontes models add model.Q4_K_M.gguf --name my-model"
    )]
    Add {
        /// A GGUF file or a checkpoint folder
        path: PathBuf,
        /// Name to install it under; the file name by default
        #[arg(long)]
        name: Option<String>,
    },
    /// Recomputes digests of installed models
    #[command(after_help = "Examples:\n  fontes models verify\n  fontes models verify multilingual-e5-small --json")]
    Verify {
        /// One model; all by default
        name: Option<String>,
    },
    /// Removes an installed model
    #[command(
        after_help = "Examples:\n  fontes models remove qwen2.5-coder-0.5b-instruct\n  fontes models remove my-model --json"
    )]
    Remove {
        /// Name of the model
        name: String,
    },
    /// Prints raw logits and a greedy continuation for given token ids
    #[command(
        after_help = "Examples:\n  fontes models probe ./tiny --ids 1,17,300 --greedy 16 --json\n  fontes models probe model.gguf --ids 1,2,3 --runner cpu --json"
    )]
    Probe(Probe),
    /// Writes a quantised GGUF from a safetensors checkpoint
    #[command(
        after_help = "Examples:\n  fontes models quantize ./Apertus-8B-Instruct-2509 --type q4_k_m -o apertus-8b-q4_k_m.gguf\n  fontes models quantize ./my-model --type q8_0 -o my-model-q8_0.gguf"
    )]
    Quantize {
        /// Checkpoint folder
        dir: PathBuf,
        /// q8_0, q6_k, q5_k_m, q4_k_m or q4_0
        #[arg(long = "type", value_name = "TYPE")]
        kind: String,
        /// GGUF file to write
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
}

/// Arguments of `models probe`.
#[derive(Args, Debug)]
pub struct Probe {
    /// A GGUF file or a checkpoint folder
    pub path: PathBuf,
    /// Token ids of the prompt
    #[arg(long, value_delimiter = ',', required = true)]
    pub ids: Vec<u32>,
    /// Continue greedily for this many tokens
    #[arg(long, default_value_t = 0)]
    pub greedy: usize,
    /// f32, bf16, f16 or q8_0; quantised files keep their own types
    #[arg(long, default_value_t)]
    pub dtype: Dtype,
    /// Which runner computes; `auto` is the exact one for floats, the fast one for quantised files
    #[arg(long, value_enum, default_value_t = RunnerChoice::Auto)]
    pub runner: RunnerChoice,
    /// cpu, cuda (the first GPU) or cuda:1 and so on
    #[arg(long, default_value_t)]
    pub device: DeviceChoice,
}

/// Which implementation runs a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RunnerChoice {
    /// The fast one where it applies.
    Auto,
    /// The candle reference.
    Candle,
    /// Our own CPU kernels.
    Cpu,
}

/// Arguments of `ingest`.
#[derive(Args, Debug)]
pub struct Ingest {
    /// Files, folders or archives; without any, the sources of the folder that `ingest.sources` names
    pub paths: Vec<PathBuf>,
    /// Take in these configured sources only
    #[arg(long = "source", value_name = "NAME", conflicts_with = "paths")]
    pub sources: Vec<String>,
    /// How documents are cut: default, law, report, mail, clinical, spreadsheet, or a file
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Groups that may see these documents; the configured default otherwise
    #[arg(long = "group", value_name = "GROUP", requires = "paths")]
    pub groups: Vec<String>,
    /// How closely they are held: public, internal, confidential, secret
    #[arg(long, value_name = "LEVEL", requires = "paths")]
    pub classification: Option<String>,
    /// Keep running and pick up changes
    #[arg(long)]
    pub watch: bool,
    /// Documents parsed at once
    #[arg(long, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true)]
    pub jobs: Option<usize>,
    /// Say what would happen, change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Try quarantined files again although they have not changed
    #[arg(long)]
    pub retry: bool,
    /// Write one JSON line per file
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Keep progress, rate and time left in this file, for Prometheus' textfile collector
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
}

/// What a search is narrowed to.
#[derive(Args, Debug)]
pub struct Narrowing {
    /// Narrow: language=de, date=2024-01..2024-06, as_of=2024, source, media_type, document_id, author, patient, group,
    /// classification
    #[arg(long = "filter", value_name = "K=V")]
    filters: Vec<String>,
    /// As of this day, month or year: documents dated later do not count, those without a date do; of each counts the text of today
    #[arg(long, value_name = "DATE")]
    as_of: Option<String>,
}

impl Narrowing {
    /// The filter they make.
    ///
    /// # Errors
    /// For an unknown field or a malformed value.
    pub fn filter(&self) -> fontes_core::Result<Filter> {
        let mut filter = Filter::of(&self.filters)?;
        self.as_of.iter().try_for_each(|day| filter.add(&format!("{}={day}", FilterField::AsOf)))?;
        Ok(filter)
    }
}

/// Arguments of `search`.
#[derive(Args, Debug)]
pub struct Search {
    /// What to look for
    pub query: String,
    /// How many passages
    #[arg(short, default_value_t = 10, value_parser = at_least_one, allow_negative_numbers = true)]
    pub k: usize,
    /// Which legs run
    #[arg(long, value_enum, default_value_t = ModeChoice::Hybrid)]
    pub mode: ModeChoice,
    /// What is searched in.
    #[command(flatten)]
    pub narrowing: Narrowing,
    /// Who is asking
    #[arg(long = "as", value_name = "PRINCIPAL")]
    pub principal: Option<String>,
    /// Say why each passage is there: terms and their weights, similarity, fusion, boosts, filters
    #[arg(long)]
    pub explain: bool,
    /// Count the documents one may see, within the filters, by language, source and media type
    #[arg(long)]
    pub facets: bool,
    /// How is searched.
    #[command(flatten)]
    pub choice: Searching,
}

/// Which legs of the search run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModeChoice {
    /// Words and vectors.
    Hybrid,
    /// Vectors only.
    Dense,
    /// Words only.
    Lexical,
}

impl From<ModeChoice> for SearchMode {
    fn from(choice: ModeChoice) -> Self {
        match choice {
            ModeChoice::Hybrid => Self::Hybrid,
            ModeChoice::Dense => Self::Dense,
            ModeChoice::Lexical => Self::Lexical,
        }
    }
}

/// Arguments of `ask`.
#[derive(Args, Debug)]
pub struct Ask {
    /// The question
    #[arg(required_unless_present = "replay")]
    pub question: Option<String>,
    /// An earlier question of the conversation that this one follows up; may be repeated, oldest first
    #[arg(long, value_name = "QUESTION")]
    pub after: Vec<String>,
    /// Ask again what an answer saved with --json records, and say what changed
    #[arg(long, value_name = "FILE", conflicts_with = "question")]
    pub replay: Option<PathBuf>,
    /// Stay silent when the sources hold the answer with less than this probability; the site's threshold otherwise
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub threshold: Option<f32>,
    /// Record where the model looked, and answer again without each cited passage
    #[arg(long)]
    pub explain: bool,
    /// How many passages are considered
    #[arg(short, default_value_t = fontes_server::DEFAULT_PASSAGES, value_parser = at_least_one, allow_negative_numbers = true)]
    pub k: usize,
    /// Model to answer with: an installed name, a path, or `none` to quote only
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Longest answer in tokens
    #[arg(long, default_value_t = fontes_server::DEFAULT_MAX_TOKENS)]
    pub max_tokens: usize,
    /// Seed of sampling
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// 0 is greedy
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    pub temperature: f32,
    /// Who is asking
    #[arg(long = "as", value_name = "PRINCIPAL")]
    pub principal: Option<String>,
    /// What is searched in.
    #[command(flatten)]
    pub narrowing: Narrowing,
    /// How is searched.
    #[command(flatten)]
    pub choice: Searching,
}

/// Arguments of `show`.
#[derive(Args, Debug)]
pub struct Show {
    /// The document
    pub document: DocumentId,
    /// One page only
    #[arg(long)]
    pub page: Option<u32>,
    /// As it was stored on this day (YYYY-MM-DD, its end in UTC), before later revisions superseded it
    #[arg(long, value_name = "DATE", value_parser = end_of_day)]
    pub as_of: Option<SystemTime>,
    /// Draw the page into this file; the first page of the span by default
    #[arg(long, value_name = "FILE")]
    pub png: Option<PathBuf>,
    /// Mark this span of the stored text, as citations and hits give it
    #[arg(long, value_name = "START..END", value_parser = span, requires = "png")]
    pub span: Option<Span>,
    /// Who is asking
    #[arg(long = "as", value_name = "PRINCIPAL")]
    pub principal: Option<String>,
}

/// Seconds of a day.
const DAY: u64 = 86_400;

/// Reads `YYYY-MM-DD` as the last second of that day in UTC.
fn end_of_day(text: &str) -> Result<SystemTime, String> {
    let malformed = || "a date is written YYYY-MM-DD, from 1970 on".to_owned();
    let numbers: Vec<u64> = text.split('-').map_while(|part| part.parse().ok()).collect();
    let &[year @ 1970..=9999, month @ 1..=12, day @ 1..=31] = &numbers[..] else { return Err(malformed()) };
    // Days since 1970-01-01, with years that begin in March (Hinnant, "chrono-compatible low-level date algorithms").
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(days * DAY + DAY - 1))
}

/// Reads a number of which none would be of no use.
fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "a whole number, 1 or more, is needed".to_owned())
}

/// Reads `START..END` in bytes, half open.
fn span(text: &str) -> Result<Span, String> {
    let (start, end) = text.split_once("..").ok_or("a span is written START..END")?;
    let number = |text: &str| text.parse::<usize>().map_err(|_| format!("{text:?} is no byte offset"));
    let span = Span::new(number(start)?, number(end)?);
    if span.is_empty() { Err("a span ends behind its start".into()) } else { Ok(span) }
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
