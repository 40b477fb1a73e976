//! Bytes of notifications that wait for slow clients: how much of the proxy's memory one server may fill.

use crate::limits::{NOTIFICATIONS_APART_MAX, NOTIFICATIONS_BYTES_MAX};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bytes of one server that wait.
#[derive(Debug, Default)]
pub struct Backlog {
    bytes: Arc<AtomicUsize>,
    /// Messages among them that belong to no one call: they share a queue with those of all servers.
    apart: Arc<()>,
}

impl Backlog {
    /// The message, counted until its last copy is dropped. Nothing if too much waits already.
    #[must_use]
    pub fn admit(&self, message: Vec<u8>) -> Option<Bytes> {
        self.count(message, None)
    }

    /// The same for a message that belongs to no one call.
    #[must_use]
    pub fn admit_apart(&self, message: Vec<u8>) -> Option<Bytes> {
        let fits = Arc::strong_count(&self.apart) <= NOTIFICATIONS_APART_MAX;
        if fits { self.count(message, Some(self.apart.clone())) } else { None }
    }

    fn count(&self, message: Vec<u8>, apart: Option<Arc<()>>) -> Option<Bytes> {
        let waiting = self.bytes.fetch_add(message.len(), Ordering::Relaxed);
        let fits = waiting.saturating_add(message.len()) <= NOTIFICATIONS_BYTES_MAX;
        let counted = Counted { message, bytes: self.bytes.clone(), _apart: apart };
        fits.then(|| Bytes::from_owner(counted))
    }
}

struct Counted {
    message: Vec<u8>,
    bytes: Arc<AtomicUsize>,
    _apart: Option<Arc<()>>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.message
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.bytes.fetch_sub(self.message.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_no_call_are_few_at_a_time() {
        let backlog = Backlog::default();
        let mut waiting: Vec<_> =
            (0..NOTIFICATIONS_APART_MAX).map(|_| backlog.admit_apart(vec![1]).unwrap()).collect();
        assert!(backlog.admit_apart(vec![1]).is_none() && backlog.admit(vec![1]).is_some());
        waiting.pop();
        assert!(backlog.admit_apart(vec![1]).is_some());
        assert!(backlog.admit_apart(vec![1; NOTIFICATIONS_BYTES_MAX]).is_none());
    }

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
