//! The last lines of a server's standard error, made safe to show.

use crate::limits::{STDERR_LINE_BYTES, STDERR_LINES};
use crate::servers::spawn::Reading;
use only1mcp_policy::printable::printable;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use tokio::io::AsyncReadExt as _;

/// A bounded tail.
#[derive(Debug, Default)]
pub struct StderrTail {
    lines: Mutex<VecDeque<String>>,
}

impl StderrTail {
    /// Reads to the end.
    pub async fn run(&self, mut stderr: Reading) {
        let mut chunk = vec![0; 4096];
        let mut line = Vec::new();
        while let Ok(count) = stderr.read(&mut chunk).await {
            if count == 0 {
                break;
            }
            for &byte in chunk.iter().take(count) {
                if byte == b'\n' {
                    self.push(&std::mem::take(&mut line));
                } else if line.len() < STDERR_LINE_BYTES {
                    line.push(byte);
                }
            }
        }
        self.push(&line);
    }

    /// The lines kept, oldest first.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn push(&self, raw: &[u8]) {
        let line = escape(raw);
        if line.trim().is_empty() {
            return;
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == STDERR_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

/// Text without control characters, so that a server cannot speak to the reader's terminal.
#[must_use]
pub fn escape(raw: &[u8]) -> String {
    printable(String::from_utf8_lossy(raw).trim_end(), &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keeps_the_last_lines_short_and_harmless() {
        let mut text: Vec<u8> =
            (0..STDERR_LINES + 5).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
        text.extend_from_slice(b"\x1b[31mred\x07 \xff\r\n");
        text.extend(std::iter::repeat_n(b'x', STDERR_LINE_BYTES * 3));
        let tail = StderrTail::default();
        tail.run(Box::new(std::io::Cursor::new(text))).await;
        let lines = tail.lines();
        assert_eq!(lines.len(), STDERR_LINES);
        assert_eq!(lines[0], "line 7");
        assert_eq!(lines[STDERR_LINES - 2], "\\u{1b}[31mred\\u{7} \u{fffd}");
        assert_eq!(lines[STDERR_LINES - 1].len(), STDERR_LINE_BYTES);
    }
}
