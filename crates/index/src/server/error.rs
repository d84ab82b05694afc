//! What can go wrong with a server, sorted by who must act.

use fontes_core::{ErrorKind, ModelIdentity};
use qdrant_client::QdrantError;

/// An error of the vectors' home on a server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A setting that cannot be meant.
    #[error("Qdrant server settings: {0}")]
    Settings(String),
    /// The part of the program that talks over the network could not be started.
    #[error("cannot start what talks to the Qdrant server")]
    Start(#[source] std::io::Error),
    /// A request that failed, or was refused.
    #[error("Qdrant server {url} cannot {action}: {}", reason(refusal))]
    Request {
        /// Its address.
        url: String,
        /// What was asked.
        action: &'static str,
        /// Why not, with what a person need not know.
        refusal: Box<QdrantError>,
    },
    /// A reply that does not say what was asked.
    #[error("Qdrant server {url} did not {action}: {what}")]
    Reply {
        /// Its address.
        url: String,
        /// What was asked.
        action: &'static str,
        /// What it said.
        what: String,
    },
    /// A server that lacks what is needed.
    #[error("Qdrant server {url} is of version {version}, at least {}.{} is needed", needed.0, needed.1)]
    Old {
        /// Its address.
        url: String,
        /// Its version.
        version: String,
        /// The least version that will do.
        needed: (u64, u64),
    },
    /// The name is taken on the server by something that this index did not make.
    #[error("{name:?} on the Qdrant server is not this archive's: {what}")]
    Foreign {
        /// The name.
        name: String,
        /// Whose it is.
        what: String,
    },
    /// The collection was filled by another embedder.
    #[error("collection {collection:?} was built with embedder {built}, not with {} ({})", given.name, given.sha256)]
    OtherEmbedder {
        /// The collection.
        collection: String,
        /// Name and digest as noted there.
        built: String,
        /// The embedder it was to be opened with.
        given: Box<ModelIdentity>,
    },
    /// The collection is not as it was made.
    #[error("collection {collection:?} on the Qdrant server is not as it was made: {what}")]
    Altered {
        /// The collection.
        collection: String,
        /// What differs.
        what: String,
    },
}

/// Status codes of gRPC (<https://grpc.github.io/grpc/core/md_doc_statuscodes.html>).
mod code {
    pub const CANCELLED: i32 = 1;
    pub const INVALID_ARGUMENT: i32 = 3;
    pub const DEADLINE_EXCEEDED: i32 = 4;
    pub const NOT_FOUND: i32 = 5;
    pub const ALREADY_EXISTS: i32 = 6;
    pub const PERMISSION_DENIED: i32 = 7;
    pub const RESOURCE_EXHAUSTED: i32 = 8;
    pub const FAILED_PRECONDITION: i32 = 9;
    pub const UNAUTHENTICATED: i32 = 16;
}

impl ServerError {
    /// Who must act. A key that is refused is the operator's matter, not the asker's: the home is unavailable.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Settings(_) => ErrorKind::Invalid,
            Self::Start(_) | Self::Reply { .. } => ErrorKind::Unavailable,
            Self::Old { .. } | Self::Foreign { .. } | Self::OtherEmbedder { .. } => ErrorKind::Conflict,
            Self::Altered { .. } => ErrorKind::Corrupt,
            Self::Request { refusal, .. } => match code_of(refusal) {
                Some(code::CANCELLED | code::DEADLINE_EXCEEDED) => ErrorKind::Timeout,
                Some(code::RESOURCE_EXHAUSTED) => ErrorKind::Overloaded,
                Some(code::INVALID_ARGUMENT | code::ALREADY_EXISTS | code::FAILED_PRECONDITION) => ErrorKind::Conflict,
                Some(code::NOT_FOUND) => ErrorKind::Corrupt,
                _ => ErrorKind::Unavailable,
            },
        }
    }

    /// What to do.
    pub(crate) fn advice(&self) -> &'static str {
        match self {
            Self::Settings(what) if what.contains("unencrypted") => {
                "use https://, or set qdrant.plain_http = true where the network itself is trusted"
            }
            Self::Settings(_) => "correct [qdrant] in the configuration; config/default.toml explains its keys",
            Self::Start(_) => "the machine has no room for another thread or file: close programs, raise limits",
            Self::Reply { .. } => "look at the server's log; writes may be repeated safely",
            Self::Old { .. } => "update the Qdrant server",
            Self::Foreign { .. } => {
                "set qdrant.collection to a name that no other archive uses, or remove that alias or collection on the \
                 server if it is no longer needed"
            }
            Self::OtherEmbedder { .. } => {
                "configure the embedder that built it, or run `fontes check --repair` to compute the vectors anew"
            }
            Self::Altered { .. } => "run `fontes check --repair` to compute its vectors anew from the stored text",
            Self::Request { refusal, .. } => match code_of(refusal) {
                Some(code::PERMISSION_DENIED | code::UNAUTHENTICATED) => {
                    "check qdrant.api_key_file: the server refuses the key, or the key may not manage collections"
                }
                Some(code::CANCELLED | code::DEADLINE_EXCEEDED) => {
                    "the server is slow or overloaded: look at its load, or raise qdrant.timeout_seconds"
                }
                Some(code::RESOURCE_EXHAUSTED) => "the server limits requests: wait, or raise its limits",
                Some(code::NOT_FOUND) => "run `fontes check --repair` to compute its vectors anew from the stored text",
                Some(code::INVALID_ARGUMENT | code::ALREADY_EXISTS | code::FAILED_PRECONDITION) => {
                    "look at the server's log: its configuration does not allow what Fontes needs"
                }
                _ if reason(refusal) == CERTIFICATE => {
                    "add the authority that signed the server's certificate to this system's, or name it in SSL_CERT_FILE"
                }
                _ => {
                    "check that the server runs and that qdrant.url names its gRPC port (6334 unless changed), then retry"
                }
            },
        }
    }
}

/// Why there is no connection, when it is the server's certificate.
const CERTIFICATE: &str = "its certificate is not one that this system trusts";

/// The status code of a refused request.
fn code_of(refusal: &QdrantError) -> Option<i32> {
    match refusal {
        QdrantError::ResponseError { status } | QdrantError::ResourceExhaustedError { status, .. } => {
            Some(status.code().into())
        }
        _ => None,
    }
}

/// Why a request was refused, for a person: what the server says, or why there is no connection to it.
fn reason(refusal: &QdrantError) -> String {
    let message = match refusal {
        QdrantError::ResponseError { status } | QdrantError::ResourceExhaustedError { status, .. } => status.message(),
        other => return other.to_string(),
    };
    // The client library gives the reason of a failed connection as the debug text of nested errors.
    let Some(detail) = message.strip_prefix("Failed to connect to ") else { return message.to_owned() };
    if detail.contains("ertificate") {
        return CERTIFICATE.into();
    }
    match detail.split_once("message: \"").and_then(|(_, rest)| rest.split_once('"')) {
        Some((system, _)) => format!("there is no connection ({system})"),
        None => "there is no connection".into(),
    }
}
