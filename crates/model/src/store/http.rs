//! `hf:` and `https:`: one file over HTTP, continued where it stopped.

use std::{io::Read, time::Duration};

use ureq::{
    Agent,
    http::header::{AUTHORIZATION, CONTENT_RANGE, ETAG, IF_RANGE, RANGE},
    tls::{RootCerts, TlsConfig},
};

use super::StoreError;

/// How the store reaches web sources.
#[derive(Clone, Debug)]
pub(super) struct Web {
    agent: Agent,
    /// Address of the model hub, without a slash at the end.
    hub: String,
    /// Access token for the hub; sent to no other host.
    token: Option<String>,
}

/// An open download.
pub(super) struct Download {
    /// The bytes from `start` on.
    pub body: Box<dyn Read>,
    /// Where the bytes begin: the wanted offset, or 0 when the server starts over.
    pub start: u64,
    /// Size of the whole file, when told.
    pub total: Option<u64>,
    /// The server's name for this content, to continue with.
    pub etag: Option<String>,
}

impl Web {
    /// Sets up connections that trust what the operating system trusts (`SSL_CERT_FILE` is honoured).
    pub fn new(hub: &str, token: Option<String>) -> Self {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .user_agent(concat!("fontes/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(Duration::from_secs(20)))
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .timeout_per_read(Some(Duration::from_secs(60)))
            .build()
            .new_agent();
        Self { agent, hub: hub.trim_end_matches('/').to_owned(), token }
    }

    /// Address of a file on the hub.
    pub fn hub_address(&self, repository: &str, revision: &str, file: &str) -> String {
        format!("{}/{repository}/resolve/{revision}/{file}", self.hub)
    }

    /// Opens `address` from byte `offset` on. The server decides: if it cannot continue, or `etag` no longer
    /// names its content, the download starts at 0. `None` when the server does not have the file.
    ///
    /// # Errors
    /// [`StoreError::Refused`] with the server's status or the failure of the connection.
    pub fn open(&self, address: &str, offset: u64, etag: Option<&str>) -> Result<Option<Download>, StoreError> {
        let mut request = self.agent.get(address);
        if let (Some(token), true) = (&self.token, address.starts_with(&format!("{}/", self.hub))) {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if offset > 0 {
            request = request.header(RANGE, format!("bytes={offset}-"));
            if let Some(etag) = etag {
                request = request.header(IF_RANGE, etag);
            }
        }
        let response = request.call().map_err(|error| StoreError::Refused(error.to_string()))?;
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (etag, range) = (header(ETAG), header(CONTENT_RANGE));
        match response.status().as_u16() {
            200 => {
                let total = response.body().content_length();
                Ok(Some(Download { body: body(response), start: 0, total, etag }))
            }
            206 => {
                let (start, total) = range.as_deref().and_then(parse_content_range).unwrap_or((u64::MAX, None));
                if start != offset {
                    return Err(StoreError::Refused("server continued at the wrong byte".into()));
                }
                Ok(Some(Download { body: body(response), start, total, etag }))
            }
            // The part is as long as the file or longer: start over, the digest decides.
            416 if offset > 0 => self.open(address, 0, None),
            404 => Ok(None),
            401 | 403 => Err(StoreError::Refused(
                "access refused: the model may be gated; accept its terms on the hub and configure a token".into(),
            )),
            status => Err(StoreError::Refused(format!("server answered {status}"))),
        }
    }
}

/// The body without a size limit of its own; the caller counts.
fn body(response: ureq::http::Response<ureq::Body>) -> Box<dyn Read> {
    Box::new(response.into_body().into_with_config().limit(u64::MAX).reader())
}

/// Reads `bytes FIRST-LAST/TOTAL` (RFC 9110 §14.4): first byte and, unless `*`, the total.
fn parse_content_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.parse().ok()?, total.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_read() {
        assert_eq!(parse_content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(parse_content_range("bytes 5-9/*"), Some((5, None)));
        for bad in ["5-9/10", "bytes */10", "bytes x-9/10", ""] {
            assert_eq!(parse_content_range(bad), None, "{bad}");
        }
    }

    #[test]
    fn hub_addresses_follow_the_configured_hub() {
        let web = Web::new("https://hub.example.ch/", None);
        assert_eq!(web.hub_address("a/b", "main", "c.json"), "https://hub.example.ch/a/b/resolve/main/c.json");
    }
}
