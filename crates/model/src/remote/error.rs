//! What can go wrong between us and a server.

use std::time::Duration;

use fontes_core::{Error, ErrorKind};

/// A failed request. Never holds what the server answered: error texts of servers quote prompts.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The configured address is not one.
    #[error("generator address {address:?} is not http://host or https://host without a user name")]
    Address {
        /// The address.
        address: String,
    },
    /// No connection, or it broke before the answer began.
    #[error("generator server cannot be reached")]
    Connect(#[source] Box<ureq::Error>),
    /// The server took too long.
    #[error("generator server took too long")]
    Timeout,
    /// The server refused.
    #[error("generator server answered with status {status}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The answer is no stream of chat completion chunks.
    #[error("generator server broke the protocol: {reason}")]
    Protocol {
        /// What is wrong.
        reason: &'static str,
    },
    /// The stream ended before the text did.
    #[error("generator server ended the answer early")]
    CutOff,
}

impl RemoteError {
    /// Says whether another attempt may succeed.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Connect(_) => true,
            Self::Status { status, .. } => *status == 429 || *status >= 500,
            Self::Address { .. } | Self::Timeout | Self::Protocol { .. } | Self::CutOff => false,
        }
    }

    /// The pause the server asked for.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl From<RemoteError> for Error {
    fn from(error: RemoteError) -> Self {
        let (kind, advice) = match &error {
            RemoteError::Address { .. } => (ErrorKind::Invalid, "correct the generator's address in the configuration"),
            RemoteError::Timeout => (ErrorKind::Timeout, "look at the server's load, or raise the time limit"),
            RemoteError::Status { status: 429, .. } => (ErrorKind::Overloaded, "try again later"),
            RemoteError::Status { status: 400 | 413 | 422, .. } => {
                (ErrorKind::Invalid, "give fewer passages, and compare the context length with the server's")
            }
            RemoteError::Status { status: 401 | 403, .. } => {
                (ErrorKind::Unavailable, "check the generator's API key in the configuration")
            }
            RemoteError::Status { status: 404, .. } => {
                (ErrorKind::Unavailable, "check the generator's address and model name in the configuration")
            }
            RemoteError::Connect(_)
            | RemoteError::Status { .. }
            | RemoteError::Protocol { .. }
            | RemoteError::CutOff => (ErrorKind::Unavailable, "look at the generator server and its log"),
        };
        Self::new(kind, error.to_string()).advise(advice).because(error)
    }
}
