//! A connection to a Qdrant server for callers that wait: a client, and one thread that moves its bytes.

use std::{fmt, future::Future};

use qdrant_client::{Qdrant, QdrantError, config::QdrantConfig};
use tokio::runtime::Runtime;

use super::{error::ServerError, settings::ServerSettings};

/// The least version that keeps what is noted with a collection and searches under filters by ACORN. Older servers
/// would pass over both without a word.
const NEEDED: (u64, u64) = (1, 16);

/// Connects when it is first used, and again after the connection broke. May be used from several threads, none of them
/// of an async runtime.
pub(super) struct Connection {
    pub(super) client: Qdrant,
    url: String,
    /// `None` only while being dropped.
    runtime: Option<Runtime>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Connection {
    /// Checks the settings, then that a server answers and is new enough.
    ///
    /// # Errors
    /// [`ServerError::Settings`], [`ServerError::Request`] for a server that does not answer, [`ServerError::Old`].
    pub(super) fn open(settings: &ServerSettings) -> Result<(Self, String), ServerError> {
        settings.validate()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("qdrant")
            .enable_io()
            .enable_time()
            .build()
            .map_err(ServerError::Start)?;
        let config = QdrantConfig {
            uri: settings.url.clone(),
            timeout: settings.timeout,
            connect_timeout: settings.timeout,
            api_key: settings.api_key.clone(),
            // It would print; the version is checked below.
            check_compatibility: false,
            // One connection carries any number of requests.
            pool_size: 1,
            ..QdrantConfig::default()
        };
        let url = settings.url.clone();
        let client = Qdrant::new(config).map_err(|source| ServerError::Request {
            url: url.clone(),
            action: "be addressed",
            refusal: Box::new(source),
        })?;
        let connection = Self { client, url, runtime: Some(runtime) };
        let version = connection.wait("say its version", connection.client.health_check())?.version;
        if new_enough(&version) {
            Ok((connection, version))
        } else {
            Err(ServerError::Old { url: connection.url.clone(), version, needed: NEEDED })
        }
    }

    /// Waits for the reply to a request.
    ///
    /// # Errors
    /// [`ServerError::Request`] with `action`, which follows "cannot".
    pub(super) fn wait<T>(
        &self,
        action: &'static str,
        request: impl Future<Output = Result<T, QdrantError>>,
    ) -> Result<T, ServerError> {
        let runtime = self.runtime.as_ref().expect("the runtime is there until the connection is dropped");
        let failed = |source| ServerError::Request { url: self.url.clone(), action, refusal: Box::new(source) };
        runtime.block_on(request).map_err(failed)
    }

    /// A reply that does not say what was asked.
    pub(super) fn unexpected(&self, action: &'static str, what: impl Into<String>) -> ServerError {
        ServerError::Reply { url: self.url.clone(), action, what: what.into() }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Waiting for the thread is not allowed everywhere, and nothing is left to do on it.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Says whether a version `major.minor…` is [`NEEDED`] or later.
fn new_enough(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u64>().ok());
    let (Some(Some(major)), Some(Some(minor))) = (numbers.next(), numbers.next()) else { return false };
    (major, minor) >= NEEDED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for version in ["1.16.0", "1.19.0", "1.20.1-dev", "2.0.0"] {
            assert!(new_enough(version), "{version}");
        }
        for version in ["1.15.9", "1.9.0", "0.99.0", "", "new", "1"] {
            assert!(!new_enough(version), "{version}");
        }
    }
}
