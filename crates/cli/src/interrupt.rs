//! Ctrl-C: the first asks to stop at the next safe point, the second stops at once.

use std::sync::OnceLock;

use anyhow::Context as _;
use fontes_core::{Cancel, Error, ErrorKind, Result};

use crate::output::EXIT_INTERRUPTED;

/// The flag of this process, once a command has asked for it.
static FLAG: OnceLock<Cancel> = OnceLock::new();

/// Says whether the user has asked to stop.
pub fn is_requested() -> bool {
    FLAG.get().is_some_and(Cancel::is_cancelled)
}

/// Fails once the user has asked to stop, for work that gives nothing when it is broken off.
///
/// # Errors
/// [`ErrorKind::Timeout`] then.
pub fn check(cancel: &Cancel) -> Result<()> {
    if cancel.is_cancelled() { Err(Error::new(ErrorKind::Timeout, "interrupted")) } else { Ok(()) }
}

/// Installs the handler for SIGINT and SIGTERM and returns the flag it sets.
///
/// # Errors
/// When the system refuses a handler.
pub fn install() -> anyhow::Result<Cancel> {
    if let Some(cancel) = FLAG.get() {
        return Ok(cancel.clone());
    }
    let cancel = Cancel::default();
    let flag = cancel.clone();
    ctrlc::set_handler(move || {
        if flag.is_cancelled() {
            // Every write is crash-safe, so stopping at once loses time, not data.
            std::process::exit(i32::from(EXIT_INTERRUPTED));
        }
        flag.cancel();
    })
    .context("install the Ctrl-C handler")?;
    Ok(FLAG.get_or_init(|| cancel).clone())
}
