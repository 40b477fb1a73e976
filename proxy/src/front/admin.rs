//! What the operator may ask over the administration socket, by HTTP: how things are, for people and for Prometheus,
//! which tools are defined how, and that the configuration be read again.

use super::accept::{self, LocalDoor};
use super::connection::{self, Visitor};
use crate::core::metrics;
use crate::core::status::Status;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{StatusCode, header};
use serde::Serialize;

/// What came of reading the configuration again.
#[derive(Debug, Serialize)]
struct Reloaded {
    /// The generation in force.
    generation: u64,
    /// Errors that keep a newer one from it.
    errors: u32,
}

/// Answers `GET /status` with what `status` gives, `GET /metrics` with the same as metrics, `GET /context` with the JSON
/// that `context` gives, and `POST /reload` when `reload` has been done.
pub fn router<F, C, R>(
    status: impl Fn() -> F + Clone + Send + Sync + 'static,
    context: impl Fn() -> C + Clone + Send + Sync + 'static,
    reload: impl Fn() -> R + Clone + Send + Sync + 'static,
) -> Router
where
    F: Future<Output = Status> + Send,
    C: Future<Output = String> + Send,
    R: Future<Output = Result<(u64, u32), String>> + Send,
{
    let reload = async move || match reload().await {
        Ok((generation, errors)) => Json(Reloaded { generation, errors }).into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    };
    let counted = status.clone();
    let metrics = async move || {
        let text = metrics::render(&counted().await);
        ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
    };
    let context =
        async move || ([(header::CONTENT_TYPE, "application/json")], context().await).into_response();
    Router::new()
        .route("/status", get(async move || Json(status().await).into_response()))
        .route("/metrics", get(metrics))
        .route("/context", get(context))
        .route("/reload", post(reload))
}

/// Serves the administration socket until the proxy stops.
pub async fn serve(door: LocalDoor, router: Router) {
    let stop = door.stop.clone();
    accept::unix(door, move |stream| {
        connection::serve(stream, router.clone(), Visitor::default(), stop.clone())
    })
    .await;
}
