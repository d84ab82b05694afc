//! The HTTP face of Fontes: `router(site) -> Router`, nothing more.
//!
//! A [`Site`] is what the binary composed: searcher, answerer, ledger, access policy. The router turns
//! requests into calls on it and results into JSON, server-sent events, or one plain page embedded in the
//! binary. Tests call the router without a socket.
//!
//! **Why so thin.** Identity is not built yet, so the server speaks only as the configured default principal,
//! takes no principal from a request, listens on loopback alone ([`loopback_only`]), and refuses requests
//! whose `Host` is another name (DNS rebinding). Work runs on blocking threads behind a small gate: past it
//! the answer is 429 at once, never a queue that grows.
//!
//! **Out of scope:** TLS, users, administration.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking"))]

mod ask;
mod document;
mod failure;
mod host;
mod metrics;
mod page;
mod search;
mod site;
#[cfg(test)]
mod tests;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post},
};
use fontes_core::{Error, ErrorKind, Result};
use tokio::net::TcpListener;

pub use search::NOT_REWRITTEN;
pub use site::{Ask, DEFAULT_MAX_TOKENS, DEFAULT_PASSAGES, Site};

/// Largest request body: the longest question with room for filters.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// The routes over a composed site.
pub fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/", get(page::html))
        .route("/page.css", get(page::css))
        .route("/page.js", get(page::js))
        .route("/v1/search", post(search::search))
        .route("/v1/facets", get(search::facets))
        .route("/v1/ask", post(ask::ask))
        .route("/v1/documents/{id}", get(document::document))
        .route("/metrics", get(metrics::render))
        .route("/healthz", get(metrics::health))
        .route("/readyz", get(metrics::ready))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(Arc::clone(&site), metrics::count))
        .layer(middleware::from_fn(page::guard))
        .layer(middleware::from_fn(host::check))
        .layer(middleware::from_fn(failure::shape))
        .with_state(site)
}

/// Checks that an address is this machine's own.
///
/// # Errors
/// [`ErrorKind::Forbidden`] for any other address: there are no identities yet to tell who is asking.
pub fn loopback_only(address: SocketAddr) -> Result<()> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Forbidden, format!("{address} is not a loopback address"))
        .advise("listen on 127.0.0.1 and put an authenticating reverse proxy in front"))
}

/// Serves until `stop` resolves, then lets running requests finish.
///
/// # Errors
/// [`ErrorKind::Forbidden`] for an address that is not loopback; [`ErrorKind::Conflict`] when it is taken.
pub async fn serve(
    site: Arc<Site>,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let address =
        listener.local_addr().map_err(|error| Error::internal("listening socket has no address").because(error))?;
    loopback_only(address)?;
    axum::serve(listener, router(site))
        .with_graceful_shutdown(stop)
        .await
        .map_err(|error| Error::internal("server stopped").because(error))
}

/// Binds a loopback address.
///
/// # Errors
/// As [`serve`].
pub async fn bind(address: SocketAddr) -> Result<TcpListener> {
    loopback_only(address)?;
    TcpListener::bind(address).await.map_err(|error| {
        Error::conflict(format!("cannot listen on {address}")).advise("choose another with --listen").because(error)
    })
}
