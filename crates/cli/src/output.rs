//! What a person or a script sees: results on stdout, remarks and progress on stderr, exit codes.

use std::{
    borrow::Cow,
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
};

use fontes_core::{Error, ErrorKind};
use serde::Serialize;

/// How a command that did not fail ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All done.
    Done,
    /// Done, and the honest answer is "nothing found" or "the sources do not say".
    Nothing,
    /// Done, with quarantined files named.
    Quarantined,
    /// Interrupted by the user, state consistent.
    Interrupted,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::Nothing => 1,
            Outcome::Quarantined => 3,
            Outcome::Interrupted => EXIT_INTERRUPTED,
        })
    }
}

/// Exit code of an interrupted run (128 + SIGINT), state consistent.
pub const EXIT_INTERRUPTED: u8 = 130;

/// Exit code of every error.
pub const EXIT_ERROR: u8 = 2;

/// How this run talks.
#[derive(Clone, Copy, Debug)]
pub struct Voice {
    /// Results as JSON.
    pub json: bool,
    /// No progress and no remarks.
    pub quiet: bool,
    /// More remarks.
    pub verbose: bool,
}

impl Voice {
    /// Prints one JSON object on a line of its own.
    ///
    /// # Errors
    /// When stdout is gone; a closed pipe is no error.
    pub fn object<T: Serialize>(self, value: &T) -> anyhow::Result<()> {
        self.line(&serde_json::to_string(value)?)
    }

    /// Prints a line of the result.
    ///
    /// # Errors
    /// When stdout is gone; a closed pipe is no error.
    pub fn line(self, text: &str) -> anyhow::Result<()> {
        self.text(&format!("{text}\n"))
    }

    /// Prints a piece of the result, at once.
    ///
    /// # Errors
    /// When stdout is gone; a closed pipe is no error.
    pub fn text(self, text: &str) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other?),
        }
    }

    /// Remarks on stderr, unless quiet.
    pub fn remark(self, text: &str) {
        if !self.quiet {
            let _closed_stderr_is_no_reason_to_stop = writeln!(io::stderr(), "{text}");
        }
    }

    /// Says whether progress bars make sense.
    pub fn shows_progress(self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    /// Says whether the result goes to a person.
    pub fn is_interactive(self) -> bool {
        !self.json && io::stdout().is_terminal()
    }

    /// Wraps `text` in an ANSI style (SGR parameter `code`) when a person reads it.
    pub fn style(self, code: &str, text: &str) -> String {
        if self.is_interactive() && std::env::var_os("NO_COLOR").is_none() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// A name as it may be shown: files, titles and authors can be called anything, and a terminal obeys control characters. Those, and
/// what turns the direction of writing, become a sign of their own.
pub fn printable(name: &str) -> Cow<'_, str> {
    let obeyed = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    match name.contains(obeyed) {
        true => Cow::Owned(name.replace(obeyed, "\u{fffd}")),
        false => Cow::Borrowed(name),
    }
}

/// What went wrong and why, each said once.
pub fn describe(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// Tells what went wrong, why, and what to do about it, on stderr.
pub fn explain(error: &anyhow::Error) {
    let known = error.downcast_ref::<Error>().or_else(|| error.chain().find_map(|cause| cause.downcast_ref::<Error>()));
    let system = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>());
    let (kind, advice) = match (known, system) {
        (Some(known), _) => (known.kind(), known.advice()),
        (None, Some(system)) => of_system(system),
        (None, None) => (ErrorKind::Internal, None),
    };
    let mut text = format!("error ({kind}): {}", printable(&describe(error)));
    if let Some(advice) = advice {
        text.push_str("\n  try: ");
        text.push_str(&printable(advice));
    }
    let _closed_stderr_is_no_reason_to_stop = writeln!(io::stderr(), "{text}");
}

/// What an error of the system means for the user, and what to do about it.
fn of_system(error: &io::Error) -> (ErrorKind, Option<&'static str>) {
    match error.kind() {
        io::ErrorKind::NotFound => (ErrorKind::NotFound, Some("check the path, and that its folder exists")),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            (ErrorKind::Forbidden, Some("check who may read and write there, or name another place"))
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (ErrorKind::Unavailable, Some("make room on that disk, then run the command again"))
        }
        _ => (ErrorKind::Unavailable, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_speak_to_the_terminal() {
        assert_eq!(printable("Übersicht 2024.pdf"), "Übersicht 2024.pdf");
        assert_eq!(printable("a\x1b[31m\nb\u{202e}"), "a\u{fffd}[31m\u{fffd}b\u{fffd}");
    }
}
