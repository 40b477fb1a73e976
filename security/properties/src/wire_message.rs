//! Packets between proxy and launcher, read by both ends.

use crate::bounds;
use only1mcp_wire::message::{FromLauncher, Request};
use only1mcp_wire::{DecodeError, limits::MESSAGE_BYTES_MAX};

/// A packet has at most one meaning, that meaning has no other packet, and nothing in it goes unread.
///
/// # Panics
/// If not.
pub fn holds(packet: &[u8]) {
    let request = bounds::decoding(packet.len(), || Request::from_packet(packet));
    let answer = bounds::decoding(packet.len(), || FromLauncher::from_packet(packet));
    assert!(request.is_err() || answer.is_err(), "{request:?} is {answer:?} too");
    if let Ok((id, request)) = &request {
        assert_eq!(request.to_packet(*id), packet, "{request:?} has another packet");
        exactly(packet, |packet| Request::from_packet(packet).err());
    }
    if let Ok(answer) = &answer {
        assert_eq!(answer.to_packet(), packet, "{answer:?} has another packet");
        exactly(packet, |packet| FromLauncher::from_packet(packet).err());
    }
}

/// One byte more or less is no message.
fn exactly(packet: &[u8], refusal: impl Fn(&[u8]) -> Option<DecodeError>) {
    let longer = [packet, &[0]].concat();
    let expected = match longer.len() > MESSAGE_BYTES_MAX {
        true => DecodeError::TooLong("message"),
        false => DecodeError::Trailing,
    };
    assert_eq!(refusal(&longer), Some(expected), "a byte was left over");
    let shorter = packet.split_last().map(|(_, shorter)| shorter).unwrap_or_default();
    assert_eq!(refusal(shorter), Some(DecodeError::Truncated), "a byte was missing");
}
