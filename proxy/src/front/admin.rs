//! What the operator may ask over the administration socket: HTTP, one question so far.

use super::accept;
use crate::limits::ADMIN_CONNECTIONS_MAX;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Answers `GET /status` with what `status` gives.
pub fn router<S: Serialize>(status: impl Fn() -> S + Clone + Send + Sync + 'static) -> Router {
    Router::new().route("/status", get(async move || Json(status()).into_response()))
}

/// Serves the administration socket until the proxy stops.
pub async fn serve(listener: UnixListener, router: Router, stop: CancellationToken, tasks: TaskTracker) {
    let stopping = stop.clone();
    accept::unix(listener, ADMIN_CONNECTIONS_MAX, stop, tasks, move |stream| {
        accept::http(stream, router.clone(), None, stopping.clone())
    })
    .await;
}
