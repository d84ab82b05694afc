//! Where a Qdrant server is, and what it may be told.

use std::{fmt, net::IpAddr, time::Duration};

use super::error::ServerError;

/// How to reach a Qdrant server or cluster, and how to set a collection up there.
#[derive(Clone)]
pub struct ServerSettings {
    /// `http://` or `https://`, host and gRPC port (Qdrant's own is 6334).
    pub url: String,
    /// API key or token; sent with every request.
    pub api_key: Option<String>,
    /// Name of this archive on the server: an alias that points to its collection.
    pub name: String,
    /// Parts a new collection is split into, one node holding one or more.
    pub shards: u32,
    /// Copies of each part of a new collection.
    pub replicas: u32,
    /// Longest wait for one reply.
    pub timeout: Duration,
    /// Whether vectors and key may go unencrypted to another machine.
    pub plain_http: bool,
}

/// Without the key.
impl fmt::Debug for ServerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSettings").field("url", &self.url).field("name", &self.name).finish_non_exhaustive()
    }
}

impl ServerSettings {
    /// Checks everything that can be checked without asking the server.
    ///
    /// # Errors
    /// [`ServerError::Settings`], which names the setting and never the key.
    pub(super) fn validate(&self) -> Result<(), ServerError> {
        let refuse = |what: &str| Err(ServerError::Settings(what.to_owned()));
        let (encrypted, rest) = match (self.url.strip_prefix("https://"), self.url.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return refuse("the address does not begin with http:// or https://"),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.is_empty() || authority.contains(['/', '?', '#', '@']) || authority.contains(char::is_whitespace) {
            return refuse("the address is not a scheme, a host and a port alone");
        }
        if !encrypted && !self.plain_http && !is_loopback(authority) {
            return refuse("vectors and key would go over the network unencrypted");
        }
        if self.api_key.as_ref().is_some_and(|key| key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic())) {
            return refuse("the API key is empty or holds characters that no header may hold");
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !(1..=100).contains(&self.name.len()) || !self.name.chars().all(plain) {
            return refuse("the collection name is not 1 to 100 letters, digits, - and _");
        }
        if self.shards == 0 || self.replicas == 0 {
            return refuse("shards and replicas begin at 1");
        }
        if self.timeout.is_zero() {
            return refuse("a timeout of nothing");
        }
        Ok(())
    }

    /// Copies that must have a write before it counts: most of them, so that one node may fail.
    pub(super) fn acknowledged(&self) -> u32 {
        self.replicas / 2 + 1
    }
}

/// Says whether `authority`, a host with or without a port, is this machine.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> ServerSettings {
        ServerSettings {
            url: url.into(),
            api_key: None,
            name: "fontes".into(),
            shards: 1,
            replicas: 1,
            timeout: Duration::from_secs(1),
            plain_http: false,
        }
    }

    #[test]
    fn plain_http_stays_on_this_machine_unless_allowed() {
        for url in ["http://localhost:6334", "http://127.0.0.1:6334/", "http://[::1]:6334", "https://qdrant.example"] {
            settings(url).validate().unwrap();
        }
        for url in ["http://qdrant:6334", "http://10.0.0.7:6334", "http://localhost.example:6334", "http://[fe80::1]:1"]
        {
            let error = settings(url).validate().unwrap_err();
            assert!(error.to_string().contains("unencrypted"), "{url}: {error}");
            ServerSettings { plain_http: true, ..settings(url) }.validate().unwrap();
        }
    }

    #[test]
    fn malformed_settings_are_refused_without_the_key() {
        for url in ["", "qdrant:6334", "grpc://qdrant:6334", "http://", "https://me:secret@qdrant", "https://q/path"] {
            assert!(settings(url).validate().is_err(), "{url}");
        }
        for key in ["", "se cret", "secret\n", "schlüssel"] {
            let keyed = ServerSettings { api_key: Some(key.into()), ..settings("https://qdrant") };
            let error = keyed.validate().unwrap_err().to_string();
            assert!(key.is_empty() || !error.contains(key), "{error}");
            assert!(!format!("{keyed:?}").contains("secret"));
        }
        for name in ["", "a/b", "a b", "ä"] {
            assert!(ServerSettings { name: name.into(), ..settings("https://qdrant") }.validate().is_err(), "{name}");
        }
        assert!(ServerSettings { replicas: 0, ..settings("https://qdrant") }.validate().is_err());
    }

    #[test]
    fn most_copies_acknowledge() {
        let acknowledged = |replicas| ServerSettings { replicas, ..settings("https://qdrant") }.acknowledged();
        assert_eq!([1, 2, 3, 5].map(acknowledged), [1, 2, 2, 3]);
    }
}
