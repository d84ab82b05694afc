//! The `fontes` binary: parses the command line, composes the system, maps outcomes to exit codes.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking"))]

mod args;
mod command;
mod config;
mod finding;
mod interrupt;
mod machine;
mod output;
mod phrases;
mod progress;
mod render;
mod textfile;
mod wiring;

use std::process::ExitCode;

use clap::Parser as _;

use crate::{
    args::Cli,
    output::{Outcome, Voice},
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let voice = Voice { json: cli.global.json, quiet: cli.global.quiet, verbose: cli.global.verbose };
    match command::run(cli, voice) {
        Ok(outcome) => outcome.into(),
        // What the user broke off is no error, whatever it failed with.
        Err(_) if interrupt::is_requested() => {
            voice.remark("interrupted; what was done stays");
            Outcome::Interrupted.into()
        }
        Err(error) => {
            output::explain(&error);
            ExitCode::from(output::EXIT_ERROR)
        }
    }
}
