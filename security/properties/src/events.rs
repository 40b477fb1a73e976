//! Server-sent events: what the relay reads from a remote endpoint, and what our front writes.

use only1mcp::command::stdio::remote::events::Events;
use only1mcp::front::frame;

/// The first byte says into which pieces the rest is cut. Pieces make no difference, the events are those of the
/// specification's own algorithm, and a message that our front frames comes out whole.
///
/// # Panics
/// If not.
pub fn holds(bytes: &[u8]) {
    let Some((&piece, stream)) = bytes.split_first() else { return };
    let whole = fed([stream].into_iter());
    let pieces = fed(stream.chunks(usize::from(piece).max(1)));
    assert_eq!(whole, pieces, "pieces of {piece} bytes make a difference");
    assert_eq!(whole, by_the_book(stream));
    // Nothing to say is said by no event.
    let message: Vec<u8> =
        stream.iter().map(|&byte| if byte == b'\n' || byte == b'\r' { b' ' } else { byte }).collect();
    if !message.is_empty() {
        assert_eq!(
            fed([frame::event(stream).as_ref()].into_iter()),
            [message],
            "a framed message is not itself"
        );
    }
}

fn fed<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let mut events = Events::default();
    let mut out = Vec::new();
    for piece in pieces {
        let fed = events.feed(piece);
        assert!(fed.is_ok(), "{fed:?}");
        out.extend(fed.unwrap_or_default().iter().map(|event| event.to_vec()));
    }
    out
}

/// The data of the events of a stream, whole: lines end with CR, LF or both; an empty line ends an event; the value of
/// each `data` field is a line of the event's data. An event without data is none.
fn by_the_book(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = vec![Vec::new()];
    let mut rest = stream;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'\r' => {
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
                lines.push(Vec::new());
            }
            b'\n' => lines.push(Vec::new()),
            byte => lines.last_mut().into_iter().for_each(|line| line.push(byte)),
        }
    }
    // What no line end follows is not a line yet.
    lines.pop();
    let mut events = Vec::new();
    for event in lines.split_inclusive(Vec::is_empty).filter(|event| event.last().is_some_and(Vec::is_empty))
    {
        let data = event.iter().filter_map(|line| {
            let value = line.strip_prefix(b"data:")?;
            Some(value.strip_prefix(b" ").unwrap_or(value))
        });
        let data = data.collect::<Vec<_>>().join(&b'\n');
        if !data.is_empty() {
            events.push(data);
        }
    }
    events
}
