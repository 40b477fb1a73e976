//! What the operator may ask over the administration socket: HTTP, one question so far.

use super::accept::{self, LocalDoor};
use super::connection::{self, Visitor};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

/// Answers `GET /status` with what `status` gives.
pub fn router<S, F>(status: impl Fn() -> F + Clone + Send + Sync + 'static) -> Router
where
    S: Serialize,
    F: Future<Output = S> + Send,
{
    Router::new().route("/status", get(async move || Json(status().await).into_response()))
}

/// Serves the administration socket until the proxy stops.
pub async fn serve(door: LocalDoor, router: Router) {
    let stop = door.stop.clone();
    accept::unix(door, move |stream| {
        connection::serve(stream, router.clone(), Visitor::default(), stop.clone())
    })
    .await;
}
