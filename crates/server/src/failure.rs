//! Errors as replies: status by kind, a JSON body, and no inner detail for defects of our own.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use fontes_core::{Error, ErrorKind};
use serde_json::json;

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

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.kind().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(body(&self.0))).into_response()
    }
}
