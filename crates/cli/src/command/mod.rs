//! What each command does: compose, call, show. One file per command.

mod ask;
mod bench;
mod bench_rag;
mod demo;
mod doctor;
mod embedders;
mod eval;
mod ingest;
mod maintain;
mod measure;
mod models;
mod recommend;
mod search;
mod serve;
mod settings;
mod show;
mod tune;

use std::{fs, process::ExitCode};

use anyhow::Context as _;
use clap::CommandFactory as _;

use crate::{
    args::{Cli, Command},
    config::Config,
    output::{Outcome, Voice},
};

/// Runs the command that was typed.
///
/// # Errors
/// Whatever stopped it, with a [`fontes_core::Error`] in the chain where the kind is known.
pub fn run(cli: Cli, voice: Voice) -> anyhow::Result<Outcome> {
    // The worker must not read configuration or environment: it parses untrusted bytes.
    if let Command::ExtractWorker = cli.command {
        return worker();
    }
    let config = Config::load(&cli.global)?;
    match cli.command {
        Command::Demo(arguments) => demo::run(config, voice, &arguments),
        Command::Models { command } => models::run(&config, voice, command),
        Command::Embedders { command } => embedders::run(&config, voice, command),
        Command::Ingest(arguments) => ingest::run(&config, voice, &arguments),
        Command::Pause => ingest::pause_all(&config, voice),
        Command::Resume => ingest::resume_all(&config, voice),
        Command::Status => maintain::status(&config, voice),
        Command::Search(arguments) => search::run(&config, voice, &arguments),
        Command::Ask(arguments) => ask::run(&config, voice, &arguments),
        Command::Show(arguments) => show::run(&config, voice, &arguments),
        Command::Forget { documents } => maintain::forget(&config, voice, &documents),
        Command::Check { repair } => maintain::check(&config, voice, repair),
        Command::Eval { command } => eval::run(&config, voice, &command),
        Command::Bench { command } => bench::run(&config, voice, &command),
        Command::Serve { listen } => serve::run(&config, voice, listen),
        Command::Doctor => doctor::run(&config, voice),
        Command::Config { command } => settings::run(&config, voice, &command),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "fontes", &mut script);
            voice.text(&String::from_utf8_lossy(&script))?;
            Ok(Outcome::Done)
        }
        Command::Man { dir } => {
            fs::create_dir_all(&dir).with_context(|| format!("folder {}", dir.display()))?;
            clap_mangen::generate_to(Cli::command(), &dir)?;
            Ok(Outcome::Done)
        }
        Command::ExtractWorker => worker(),
    }
}

/// Parses documents for the parent process until it closes the pipe.
fn worker() -> anyhow::Result<Outcome> {
    match fontes_extract::worker::serve() {
        code if code == ExitCode::SUCCESS => Ok(Outcome::Done),
        _ => Err(fontes_core::Error::internal("extraction worker stopped").into()),
    }
}
