//! Server-sent events: bytes in, the data of whole events out.

use crate::command::limits::REMOTE_ANSWER_BYTES_MAX;
use bytes::Bytes;

/// A stream being read.
#[derive(Clone, Debug, Default)]
pub struct Events {
    line: Vec<u8>,
    data: Vec<u8>,
    after_return: bool,
}

impl Events {
    /// Takes the next bytes; the data of the events they complete.
    ///
    /// # Errors
    /// When one event is larger than [`REMOTE_ANSWER_BYTES_MAX`].
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Bytes>, String> {
        let mut events = Vec::new();
        for &byte in bytes {
            let second_half = std::mem::replace(&mut self.after_return, byte == b'\r') && byte == b'\n';
            if second_half {
                continue;
            }
            if byte == b'\n' || byte == b'\r' {
                events.extend(self.end_line());
            } else {
                self.line.push(byte);
            }
        }
        if self.line.len() + self.data.len() > REMOTE_ANSWER_BYTES_MAX {
            return Err(format!("an event has more than {REMOTE_ANSWER_BYTES_MAX} bytes"));
        }
        Ok(events)
    }

    /// An empty line ends an event; all fields but `data` are of no use to a relay.
    fn end_line(&mut self) -> Option<Bytes> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            return data.strip_suffix(b"\n").filter(|data| !data.is_empty()).map(Bytes::copy_from_slice);
        }
        if let Some(value) = line.strip_prefix(b"data:") {
            self.data.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
            self.data.push(b'\n');
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&str]) -> Vec<Bytes> {
        let mut events = Events::default();
        pieces.iter().flat_map(|piece| events.feed(piece.as_bytes()).unwrap()).collect()
    }

    #[test]
    fn data_comes_out_whole_however_the_bytes_are_cut() {
        let text = ": hello\nid: 1\ndata: {\"a\":1}\n\nevent: message\ndata:{\"b\":2}\n\n";
        let whole = read(&[text]);
        assert_eq!(whole, ["{\"a\":1}", "{\"b\":2}"]);
        for cut in 0..text.len() {
            assert_eq!(read(&[&text[..cut], &text[cut..]]), whole, "{cut}");
        }
    }

    #[test]
    fn all_three_line_ends_are_known() {
        assert_eq!(read(&["data: x\r\n\r\ndata: y\r\rdata: z\n\n"]), ["x", "y", "z"]);
    }

    #[test]
    fn several_data_lines_are_one_event_and_empty_ones_none() {
        assert_eq!(read(&["data: a\ndata: b\n\nid: 5\ndata:\n\n"]), ["a\nb"]);
    }
}
