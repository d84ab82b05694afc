//! Errors as replies: status by kind, a JSON body, and no inner detail for defects of our own.

use axum::{
    Json,
    body::to_bytes,
    extract::Request,
    http::{
        StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use fontes_core::{Error, ErrorKind};
use serde_json::json;

/// Longest message of a part we did not write, in bytes.
const LONGEST: usize = 4_096;

/// An error on its way out.
pub struct Failure(pub Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

/// The JSON body of an error: `{"error": {"kind", "message", "advice"}}`.
///
/// Causes are never shown: they may hold paths. `Internal` and `Corrupt` say nothing but their kind.
pub fn body(error: &Error) -> serde_json::Value {
    let message = match error.kind() {
        ErrorKind::Internal => "internal error".to_owned(),
        ErrorKind::Corrupt => "stored data is damaged; ask the operator to run `fontes check`".to_owned(),
        _ => error.to_string(),
    };
    json!({ "error": { "kind": error.kind(), "message": message, "advice": error.advice() } })
}

/// Gives errors that were not made here, a malformed body or an unknown path, the same shape as ours.
pub async fn shape(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let (status, kind) = (response.status(), response.headers().get(CONTENT_TYPE));
    let is_plain = kind.is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if !is_plain || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let kind = match status {
        StatusCode::NOT_FOUND => ErrorKind::NotFound,
        status if status.is_client_error() => ErrorKind::Invalid,
        _ => ErrorKind::Internal,
    };
    let (mut parts, content) = response.into_parts();
    let content = to_bytes(content, LONGEST).await.unwrap_or_default();
    let said = String::from_utf8_lossy(&content);
    let message = if said.is_empty() { status.canonical_reason().unwrap_or("refused") } else { said.as_ref() };
    let reply = Json(body(&Error::new(kind, message))).into_response();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.extend(reply.headers().clone());
    Response::from_parts(parts, reply.into_body())
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.kind().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(body(&self.0))).into_response()
    }
}
