//! What the operator may ask over the administration socket, by HTTP: how things are, for people and for Prometheus.

use super::accept::{self, LocalDoor};
use super::connection::{self, Visitor};
use crate::core::metrics;
use crate::core::status::Status;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use http::header;

/// Answers `GET /status` with what `status` gives, and `GET /metrics` with the same as metrics.
pub fn router<F>(status: impl Fn() -> F + Clone + Send + Sync + 'static) -> Router
where
    F: Future<Output = Status> + Send,
{
    let counted = status.clone();
    let metrics = async move || {
        let text = metrics::render(&counted().await);
        ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
    };
    Router::new()
        .route("/status", get(async move || Json(status().await).into_response()))
        .route("/metrics", get(metrics))
}

/// Serves the administration socket until the proxy stops.
pub async fn serve(door: LocalDoor, router: Router) {
    let stop = door.stop.clone();
    accept::unix(door, move |stream| {
        connection::serve(stream, router.clone(), Visitor::default(), stop.clone())
    })
    .await;
}
