//! What waits to be read by a server. A line goes straight into the pipe on the caller's own task; only
//! what the pipe does not take waits here for the writer task.

use crate::limits::{OUTBOX_BYTES_MAX, READER_GONE_POLL};
use crate::servers::spawn::Writing;
use bytes::{Buf, BytesMut};
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::io::AsyncWrite as _;
use tokio::sync::Notify;

/// The writing side of a server.
pub struct Outbox {
    inner: Mutex<Inner>,
    wake: Notify,
}

struct Inner {
    pipe: Option<Writing>,
    waiting: BytesMut,
    /// Bytes the pipe has taken since it was opened; after its end without those that nobody has read.
    taken: u64,
}

/// Why a line was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutboxError {
    /// The server reads too slowly.
    Full,
    /// The server no longer reads.
    Closed,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").finish_non_exhaustive()
    }
}

impl Outbox {
    /// Writes to `pipe`.
    #[must_use]
    pub fn new(pipe: Writing) -> Self {
        let inner = Inner { pipe: Some(pipe), waiting: BytesMut::new(), taken: 0 };
        Self { inner: Mutex::new(inner), wake: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts a whole line. Returns where it starts, for [`Outbox::has_begun`].
    ///
    /// # Errors
    /// [`OutboxError`] if it was not accepted; then no byte of it was read.
    pub fn push(&self, line: &[u8]) -> Result<u64, OutboxError> {
        let mut inner = self.lock();
        if inner.pipe.is_none() {
            return Err(OutboxError::Closed);
        }
        let start = inner.taken + inner.waiting.len() as u64;
        if !inner.waiting.is_empty() {
            if inner.waiting.len() + line.len() > OUTBOX_BYTES_MAX {
                return Err(OutboxError::Full);
            }
            inner.waiting.extend_from_slice(line);
            return Ok(start);
        }
        // Nobody waits for the pipe, so its readiness may be asked for without a waker.
        let mut rest = line;
        let progress = inner.write(&mut Context::from_waker(Waker::noop()), &mut rest);
        match progress {
            Poll::Ready(Err(_)) => {
                inner.end();
                // The writer task says that it is over.
                self.wake.notify_one();
                if inner.taken > start { Ok(start) } else { Err(OutboxError::Closed) }
            }
            Poll::Ready(Ok(())) => Ok(start),
            Poll::Pending => {
                inner.waiting.extend_from_slice(rest);
                self.wake.notify_one();
                Ok(start)
            }
        }
    }

    /// Whether the server may have any byte of the line that starts at `start`.
    #[must_use]
    pub fn has_begun(&self, start: u64) -> bool {
        self.lock().taken > start
    }

    /// Closes the server's standard input and forgets what waits.
    pub fn close(&self) {
        self.lock().end();
    }

    /// Waits until the server's end is closed too, so that [`Outbox::close`] knows what it has read: of a
    /// process that ends, the kernel closes standard output first.
    pub async fn reader_gone(&self) {
        while self.lock().pipe.as_ref().is_some_and(|pipe| pipe.unread_for_good().is_none()) {
            tokio::time::sleep(READER_GONE_POLL).await;
        }
    }

    /// The writer task: drains what waits, until the server no longer reads.
    pub async fn run(&self) {
        loop {
            self.wake.notified().await;
            if std::future::poll_fn(|cx| self.lock().drain(cx)).await.is_err() {
                self.close();
            }
            if self.lock().pipe.is_none() {
                return;
            }
        }
    }
}

impl Inner {
    fn end(&mut self) {
        if let Some(pipe) = self.pipe.take() {
            self.taken -= pipe.unread_for_good().unwrap_or(0).min(self.taken);
        }
        self.waiting = BytesMut::new();
    }

    fn write(&mut self, cx: &mut Context<'_>, rest: &mut &[u8]) -> Poll<io::Result<()>> {
        while !rest.is_empty() {
            let Some(pipe) = &mut self.pipe else {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            };
            match Pin::new(pipe).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => {
                    self.taken += count as u64;
                    rest.advance(count);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut waiting = std::mem::take(&mut self.waiting);
        let mut rest: &[u8] = &waiting;
        let progress = self.write(cx, &mut rest);
        let left = rest.len();
        waiting.advance(waiting.len() - left);
        if left > 0 {
            self.waiting = waiting;
        }
        progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;

    #[tokio::test]
    async fn a_line_the_pipe_takes_does_not_wait() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let outbox = Outbox::new(Box::new(ours));
        let start = outbox.push(b"hello\n").unwrap();
        assert!(outbox.has_begun(start));
        let mut read = [0; 6];
        theirs.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"hello\n");
    }

    #[tokio::test]
    async fn what_the_pipe_does_not_take_follows_in_order_when_it_is_read() {
        let (ours, mut theirs) = tokio::io::duplex(4);
        let outbox = std::sync::Arc::new(Outbox::new(Box::new(ours)));
        let writer = outbox.clone();
        tokio::spawn(async move { writer.run().await });
        let first = outbox.push(b"0123456789\n").unwrap();
        let second = outbox.push(b"abc\n").unwrap();
        assert!(outbox.has_begun(first) && !outbox.has_begun(second));
        let mut read = [0; 15];
        theirs.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"0123456789\nabc\n");
        assert!(outbox.has_begun(second));
    }

    #[tokio::test]
    async fn a_line_that_nobody_has_read_has_not_begun_once_nobody_can_read_it() {
        for server_has_ended in [true, false] {
            let (ours, mut theirs) = tokio::net::unix::pipe::pipe().unwrap();
            let outbox = std::sync::Arc::new(Outbox::new(Box::new(ours)));
            let writer = outbox.clone();
            tokio::spawn(async move { writer.run().await });
            let first = outbox.push(b"one\n").unwrap();
            let second = outbox.push(b"two\n").unwrap();
            let third = outbox.push(b"three\n").unwrap();
            theirs.read_exact(&mut [0; 5]).await.unwrap();
            let still_open = (!server_has_ended).then_some(theirs);
            outbox.close();
            assert!(outbox.has_begun(first) && outbox.has_begun(second));
            assert_eq!(outbox.has_begun(third), !server_has_ended, "its reader could still come to it");
            drop(still_open);
        }
    }

    #[tokio::test]
    async fn of_a_line_cut_by_the_servers_end_it_is_known_whether_a_byte_was_read() {
        let line = vec![b'x'; 1024 * 1024];
        for was_read in [true, false] {
            let (ours, mut theirs) = tokio::net::unix::pipe::pipe().unwrap();
            let outbox = std::sync::Arc::new(Outbox::new(Box::new(ours)));
            let writer = outbox.clone();
            let writing = tokio::spawn(async move { writer.run().await });
            let start = outbox.push(&line).unwrap();
            while outbox.lock().taken == 0 {
                tokio::task::yield_now().await;
            }
            if was_read {
                theirs.read_exact(&mut [0; 1]).await.unwrap();
            }
            drop(theirs);
            writing.await.unwrap();
            assert_eq!(outbox.has_begun(start), was_read);
            assert_eq!(outbox.push(b"more\n"), Err(OutboxError::Closed));
        }
    }

    #[tokio::test]
    async fn refuses_lines_over_the_bound_and_after_the_end() {
        let (ours, theirs) = tokio::io::duplex(1);
        let outbox = Outbox::new(Box::new(ours));
        outbox.push(&vec![b'x'; OUTBOX_BYTES_MAX]).unwrap();
        assert_eq!(outbox.push(b"more\n"), Err(OutboxError::Full));
        drop(theirs);
        outbox.close();
        assert_eq!(outbox.push(b"more\n"), Err(OutboxError::Closed));
    }
}
