//! One closed set of error kinds, sorted by who must act, and the error type that crosses seams.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Result whose error is the seam-crossing [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Says who must act on an error. Closed on purpose: the HTTP status and the exit code are each one `match`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The caller asked for something malformed or out of range.
    Invalid,
    /// The named thing does not exist, or the caller may not know that it does.
    NotFound,
    /// The request contradicts the present state (another embedder, another process, a newer version).
    Conflict,
    /// The caller has not said who they are.
    Unauthenticated,
    /// The caller is known and may not do this.
    Forbidden,
    /// Too much is under way; the caller may retry later.
    Overloaded,
    /// A limit of time ran out.
    Timeout,
    /// Something needed is not there now: a model, a server, disk space.
    Unavailable,
    /// Stored data is not what was written. Stop; never repair silently.
    Corrupt,
    /// A defect of Fontes itself.
    Internal,
}

impl ErrorKind {
    /// The HTTP status for this kind (RFC 9110).
    pub fn http_status(self) -> u16 {
        match self {
            Self::Invalid => 422,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::Overloaded => 429,
            Self::Timeout => 504,
            Self::Unavailable => 503,
            Self::Corrupt | Self::Internal => 500,
        }
    }

    /// The stable name used in JSON and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::Overloaded => "overloaded",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Corrupt => "corrupt",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The error that crosses seams: a kind, a message that names the noun, what to do, and the cause.
///
/// Libraries keep their own typed errors inside and convert at their public edge. Messages are lowercase,
/// without a full stop, and never hold document text, questions or prompts.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    advice: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// Makes an error of `kind` whose `message` names the failed noun.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), advice: None, source: None }
    }

    /// Shorthand for [`ErrorKind::Invalid`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// Shorthand for [`ErrorKind::NotFound`].
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// Shorthand for [`ErrorKind::Conflict`].
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    /// Shorthand for [`ErrorKind::Unavailable`].
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// Shorthand for [`ErrorKind::Corrupt`].
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    /// Shorthand for [`ErrorKind::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Adds what the reader of the message should do, as an imperative sentence part.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Keeps the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Who must act.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What to do about it, if that is known.
    pub fn advice(&self) -> Option<&str> {
        self.advice.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_cause_and_its_advice() {
        let cause = std::io::Error::other("disk on fire");
        let error = Error::unavailable("data directory is not writable").advise("free some space").because(cause);
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(error.advice(), Some("free some space"));
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "disk on fire");
    }

    #[test]
    fn names_are_what_serde_writes() {
        for kind in [ErrorKind::NotFound, ErrorKind::Corrupt, ErrorKind::Unauthenticated] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }
}
