//! Refuses requests addressed to another name: a page elsewhere must not reach us by rebinding its DNS name.

use std::net::IpAddr;

use axum::{
    extract::Request,
    http::header::HOST,
    middleware::Next,
    response::{IntoResponse, Response},
};
use fontes_core::{Error, ErrorKind};

use crate::failure::Failure;

/// Lets a request pass whose `Host` is a loopback name, or that has none (HTTP/1.0, tests).
pub async fn check(request: Request, next: Next) -> Response {
    match request.headers().get(HOST) {
        Some(host) if !host.to_str().is_ok_and(is_loopback_name) => {
            Failure(Error::new(ErrorKind::Forbidden, "this name is not served here")).into_response()
        }
        _ => next.run(request).await,
    }
}

/// Says whether `host`, with or without a port, names this machine's loopback.
fn is_loopback_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_pass() {
        for host in ["localhost", "localhost:7878", "127.0.0.1:7878", "127.0.0.1", "[::1]:7878", "LOCALHOST:1"] {
            assert!(is_loopback_name(host), "{host}");
        }
        for host in ["evil.example", "evil.example:7878", "10.0.0.1", "localhost.evil.example", "", "[::2]:1"] {
            assert!(!is_loopback_name(host), "{host}");
        }
    }
}
