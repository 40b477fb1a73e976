//! Compresses long JSON answers for clients on other machines that want it. Never event streams, never for clients on
//! this machine, where it costs both sides time and saves nothing.

use super::identity::Peer;
use crate::limits::{COMPRESSED_BYTES_MAX, COMPRESSED_BYTES_MIN};
use axum::Router;
use axum::body::HttpBody;
use http::{HeaderValue, Response, header};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::Predicate;

/// The same endpoints twice, for clients here and elsewhere.
#[derive(Clone, Debug)]
pub struct Routers {
    here: Router,
    elsewhere: Router,
}

impl Routers {
    /// Both from the one.
    pub fn new(router: Router) -> Self {
        let layer = CompressionLayer::new().gzip(true).quality(CompressionLevel::Fastest);
        let elsewhere = router.clone().layer(layer.compress_when(LongJson));
        Self { here: router, elsewhere }
    }

    /// The one for this client.
    pub fn of(&self, peer: &Peer) -> Router {
        let here = peer.local.ip().to_canonical().is_loopback();
        if here { self.here.clone() } else { self.elsewhere.clone() }
    }
}

#[derive(Clone, Copy, Debug)]
struct LongJson;

impl Predicate for LongJson {
    fn should_compress<B: HttpBody>(&self, response: &Response<B>) -> bool {
        let json = HeaderValue::from_static("application/json");
        // Of a stream the length is not known.
        let length = response.body().size_hint().exact().and_then(|length| usize::try_from(length).ok());
        response.headers().get(header::CONTENT_TYPE) == Some(&json)
            && length.is_some_and(|length| (COMPRESSED_BYTES_MIN..=COMPRESSED_BYTES_MAX).contains(&length))
    }
}
