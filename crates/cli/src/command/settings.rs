//! `fontes config`: the settings in force, and the schema of the configuration file.

use crate::{
    args::Settings,
    config::{Config, schema},
    output::{Outcome, Voice},
};

/// Runs the command.
pub fn run(config: &Config, voice: Voice, command: &Settings) -> anyhow::Result<Outcome> {
    match command {
        Settings::Show if voice.json => voice.object(config)?,
        Settings::Show => voice.text(&toml::to_string_pretty(config)?)?,
        Settings::Schema => voice.text(&schema::text())?,
    }
    Ok(Outcome::Done)
}
