//! The HTTP answer to one request: plain JSON, or an event stream if a notification comes first.

use super::error::json;
use super::frame;
use super::headers::Accepts;
use crate::core::limiter::whole_seconds;
use crate::exchange::Answer;
use crate::limits::KEEP_ALIVE_INTERVAL;
use axum::body::Body;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures_util::stream::unfold;
use http::{HeaderValue, StatusCode, header};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior};

/// What becomes of a request whose client goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abandoned {
    /// It is cancelled (modern).
    Cancel,
    /// It goes on (legacy); its answer is dropped unless it has a stream that the client can come back to.
    GoOn,
}

/// A request under way.
pub struct Work {
    future: Option<Pin<Box<dyn Future<Output = Answer> + Send>>>,
    abandoned: Abandoned,
}

impl Work {
    /// Starts nothing yet: the future runs while it is waited for.
    pub fn new(abandoned: Abandoned, future: impl Future<Output = Answer> + Send + 'static) -> Self {
        Self { future: Some(Box::pin(future)), abandoned }
    }

    /// The same, answered.
    pub fn answered(self, answer: Answer) -> Self {
        Self::new(self.abandoned, std::future::ready(answer))
    }
}

impl Future for Work {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        let Some(future) = self.future.as_mut() else { return Poll::Pending };
        let polled = future.as_mut().poll(context);
        if polled.is_ready() {
            self.future = None;
        }
        polled
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let rest = self.future.take().filter(|_| self.abandoned == Abandoned::GoOn);
        // Without a runtime the proxy has ended, and with it the request.
        if let (Some(rest), Ok(runtime)) = (rest, tokio::runtime::Handle::try_current()) {
            runtime.spawn(rest);
        }
    }
}

/// Answers with JSON, or with an event stream if a notification comes before the answer.
/// `status` says with which HTTP status a JSON answer goes out.
pub async fn respond(
    mut work: Work,
    mut notifications: mpsc::Receiver<Bytes>,
    accepts: Accepts,
    status: fn(Option<i64>) -> StatusCode,
) -> Response {
    let first = match accepts {
        Accepts::Events => None,
        Accepts::Json => {
            drop(notifications);
            let answer = work.await;
            return json_of(answer, status);
        }
        Accepts::Both => tokio::select! {
            biased;
            Some(first) = notifications.recv() => Some(first),
            answer = &mut work => match notifications.try_recv() {
                Ok(first) => return events(finished(first, notifications, answer)),
                Err(_) => return json_of(answer, status),
            },
        },
    };
    running(first, notifications, work)
}

/// The answer as JSON. One that came too early has the same status in all revisions.
pub fn json_of(answer: Answer, status: fn(Option<i64>) -> StatusCode) -> Response {
    let Some(wait) = answer.retry_after else { return json(status(answer.error_code), answer.response) };
    let mut response = json(StatusCode::TOO_MANY_REQUESTS, answer.response);
    response.headers_mut().insert(header::RETRY_AFTER, whole_seconds(wait).into());
    response
}

/// The whole stream of a request that is answered already.
fn finished(first: Bytes, mut notifications: mpsc::Receiver<Bytes>, answer: Answer) -> Body {
    let mut out = BytesMut::new();
    frame::put_event(&mut out, &first);
    put_rest(&mut out, &mut notifications);
    frame::put_event(&mut out, &answer.response);
    Body::from(out.freeze())
}

fn put_rest(out: &mut BytesMut, notifications: &mut mpsc::Receiver<Bytes>) {
    while let Ok(message) = notifications.try_recv() {
        frame::put_event(out, &message);
    }
}

struct Running {
    first: Option<Bytes>,
    notifications: mpsc::Receiver<Bytes>,
    work: Option<Work>,
    keep_alive: Interval,
}

/// The stream of a request under way: its notifications as they come, then its answer.
pub fn running(first: Option<Bytes>, notifications: mpsc::Receiver<Bytes>, work: Work) -> Response {
    let state = Running { first, notifications, work: Some(work), keep_alive: keep_alive() };
    events(Body::from_stream(unfold(state, |mut state| async move {
        let chunk = state.next().await?;
        Some((Ok::<_, Infallible>(chunk), state))
    })))
}

impl Running {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(frame::event(&first));
        }
        let work = self.work.as_mut()?;
        let answer = tokio::select! {
            biased;
            Some(message) = self.notifications.recv() => return Some(frame::event(&message)),
            answer = work => answer,
            _ = self.keep_alive.tick() => return Some(frame::KEEP_ALIVE),
        };
        self.work = None;
        let mut out = BytesMut::new();
        put_rest(&mut out, &mut self.notifications);
        frame::put_event(&mut out, &answer.response);
        Some(out.freeze())
    }
}

/// A stream that stays open: events as they come, comments in between. `first` is sent as it is.
pub fn open_stream(first: Option<Bytes>, messages: mpsc::Receiver<Bytes>) -> Response {
    let state = (first, messages, keep_alive());
    events(Body::from_stream(unfold(state, |(mut first, mut messages, mut keep_alive)| async move {
        let chunk = match first.take() {
            Some(first) => first,
            None => tokio::select! {
                message = messages.recv() => frame::event(&message?),
                _ = keep_alive.tick() => frame::KEEP_ALIVE,
            },
        };
        Some((Ok::<_, Infallible>(chunk), (first, messages, keep_alive)))
    })))
}

/// Ticks when a stream had nothing to say for a while.
pub fn keep_alive() -> Interval {
    let mut interval = tokio::time::interval_at(Instant::now() + KEEP_ALIVE_INTERVAL, KEEP_ALIVE_INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// An event stream.
pub fn events(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
