//! Bytes of notifications that wait for slow clients: how much of the proxy's memory one server may fill.

use crate::limits::NOTIFICATIONS_BYTES_MAX;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bytes of one server that wait.
#[derive(Debug, Default)]
pub struct Backlog(Arc<AtomicUsize>);

impl Backlog {
    /// The message, counted until its last copy is dropped. Nothing if too much waits already.
    #[must_use]
    pub fn admit(&self, message: Vec<u8>) -> Option<Bytes> {
        let waiting = self.0.fetch_add(message.len(), Ordering::Relaxed);
        let fits = waiting.saturating_add(message.len()) <= NOTIFICATIONS_BYTES_MAX;
        let counted = Counted { message, backlog: self.0.clone() };
        fits.then(|| Bytes::from_owner(counted))
    }
}

struct Counted {
    message: Vec<u8>,
    backlog: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.message
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.backlog.fetch_sub(self.message.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_makes_room() {
        let backlog = Backlog::default();
        let waiting = backlog.admit(vec![b'x'; NOTIFICATIONS_BYTES_MAX - 1]).unwrap();
        assert!(backlog.admit(b"ab".to_vec()).is_none());
        assert_eq!(backlog.admit(b"a".to_vec()).unwrap(), "a");
        drop(waiting);
        assert!(backlog.admit(b"ab".to_vec()).is_some());
    }
}
