//! Health and metrics in the Prometheus text format, version 0.0.4.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::site::Site;

/// Upper bounds of the latency buckets in seconds: a search takes milliseconds, an answer up to minutes.
const BUCKETS: [f64; 10] = [0.005, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0, 20.0, 60.0, 300.0];

/// Counters of one route and status.
#[derive(Clone, Copy, Default)]
struct Series {
    count: u64,
    seconds: f64,
    buckets: [u64; BUCKETS.len()],
}

/// All counters of a site.
#[derive(Default)]
pub struct Metrics(Mutex<BTreeMap<(String, u16), Series>>);

impl Metrics {
    fn record(&self, route: String, status: u16, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let series = all.entry((route, status)).or_default();
        series.count += 1;
        series.seconds += seconds;
        for (bucket, bound) in series.buckets.iter_mut().zip(BUCKETS) {
            *bucket += u64::from(seconds <= bound);
        }
    }

    fn text(&self) -> String {
        let mut text = String::from(
            "# HELP fontes_request_seconds Time from a request to the start of its reply.\n\
             # TYPE fontes_request_seconds histogram\n",
        );
        for ((route, status), series) in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let labels = format!("route=\"{route}\",status=\"{status}\"");
            let mut line = |name: &str, extra: &str, value: String| {
                writeln!(text, "fontes_request_seconds_{name}{{{labels}{extra}}} {value}").expect("a string takes all");
            };
            for (count, bound) in series.buckets.iter().zip(BUCKETS) {
                line("bucket", &format!(",le=\"{bound}\""), count.to_string());
            }
            line("bucket", ",le=\"+Inf\"", series.count.to_string());
            line("sum", "", series.seconds.to_string());
            line("count", "", series.count.to_string());
        }
        text
    }
}

/// Counts every request by route (never by raw path: identifiers do not belong in metrics).
pub async fn count(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let begin = Instant::now();
    let response = next.run(request).await;
    site.metrics().record(route, response.status().as_u16(), begin.elapsed());
    response
}

/// `/metrics`.
pub async fn render(State(site): State<Arc<Site>>) -> impl IntoResponse {
    let mut text = site.metrics().text();
    if let Ok(snapshot) = site.ledger().snapshot() {
        let _infallible = write!(
            text,
            "# HELP fontes_index_snapshot Number of committed changes to what is searchable.\n\
             # TYPE fontes_index_snapshot counter\nfontes_index_snapshot {}\n",
            snapshot.0
        );
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

/// `/healthz`: the process answers.
pub async fn health() -> &'static str {
    "ok\n"
}

/// `/readyz`: the ledger answers too.
pub async fn ready(State(site): State<Arc<Site>>) -> impl IntoResponse {
    match site.ledger().snapshot() {
        Ok(_) => (StatusCode::OK, "ready\n"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the ledger does not answer\n"),
    }
}
