//! Bounded, fixed-layout, little-endian encoding. Lengths are checked before anything is allocated.

use crate::limits::{PLAN_LIST_ENTRIES_MAX, PLAN_TEXT_BYTES_MAX};
use std::fmt;

/// Why bytes are not the message or plan they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The bytes end too early.
    Truncated,
    /// Bytes are left over.
    Trailing,
    /// A length is over its limit.
    TooLong(&'static str),
    /// A field holds a value it may not hold.
    Value(&'static str),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the message ends too early"),
            Self::Trailing => f.write_str("bytes are left after the message"),
            Self::TooLong(what) => write!(f, "{what} is too long"),
            Self::Value(what) => write!(f, "{what} has a value that is not allowed"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// What can be written as bytes.
pub trait Encode {
    /// Appends the value to `out`.
    fn encode(&self, out: &mut Vec<u8>);
}

/// What can be read back from bytes.
pub trait Decode: Sized {
    /// Takes the value from the front of `reader`.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are not such a value.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Reads a value that must fill `bytes` exactly.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are not such a value, or more than one.
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader { rest: bytes };
        let value = Self::decode(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }
}

/// The bytes not read yet.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts reading at the front of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Takes the next `count` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if there are fewer.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (front, rest) = self.rest.split_at_checked(count).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(front)
    }

    /// Says that nothing may be left.
    ///
    /// # Errors
    /// [`DecodeError::Trailing`] if something is.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing) }
    }

    /// A length that may be at most `max`, and not more than the bytes that are left.
    fn length(&mut self, max: usize, what: &'static str) -> Result<usize, DecodeError> {
        let length = usize::try_from(u32::decode(self)?).map_err(|_| DecodeError::TooLong(what))?;
        if length > max {
            return Err(DecodeError::TooLong(what));
        }
        if length > self.rest.len() {
            return Err(DecodeError::Truncated);
        }
        Ok(length)
    }

    /// A byte string of at most `max` bytes.
    ///
    /// # Errors
    /// [`DecodeError`] if it is longer than `max` or than what is left.
    pub fn bytes_up_to(&mut self, max: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = self.length(max, what)?;
        self.take(length)
    }
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl Encode for $integer {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        }

        impl Decode for $integer {
            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                let bytes = reader.take(size_of::<Self>())?;
                Ok(Self::from_le_bytes(bytes.try_into().map_err(|_| DecodeError::Truncated)?))
            }
        }
    )*};
}
integers!(u8, u16, u32, u64, i32);

/// Encodes a length. Everything we encode is far below 4 GiB; a longer one would be refused by the
/// reader's limit, never misread.
fn encode_length(length: usize, out: &mut Vec<u8>) {
    u32::try_from(length).unwrap_or(u32::MAX).encode(out);
}

impl Encode for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        u8::from(*self).encode(out);
    }
}

impl Decode for bool {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(reader)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Value("truth value")),
        }
    }
}

impl<const N: usize> Encode for [u8; N] {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl<const N: usize> Decode for [u8; N] {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.take(N)?.try_into().map_err(|_| DecodeError::Truncated)
    }
}

impl Encode for str {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_length(self.len(), out);
        out.extend_from_slice(self.as_bytes());
    }
}

impl Encode for String {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_str().encode(out);
    }
}

impl Decode for String {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = reader.bytes_up_to(PLAN_TEXT_BYTES_MAX, "text")?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| DecodeError::Value("text"))
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_length(self.len(), out);
        for item in self {
            item.encode(out);
        }
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = reader.length(PLAN_LIST_ENTRIES_MAX, "list")?;
        // Not reserved at once: `count` is only known to be below the bytes that are left.
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(T::decode(reader)?);
        }
        Ok(items)
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.is_some().encode(out);
        if let Some(value) = self {
            value.encode(out);
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if bool::decode(reader)? { T::decode(reader).map(Some) } else { Ok(None) }
    }
}

/// Defines a struct and encodes it field by field, in the order written.
macro_rules! record {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $kind:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name { $($(#[$field_meta])* pub $field: $kind,)* }

        impl $crate::codec::Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                $($crate::codec::Encode::encode(&self.$field, out);)*
            }
        }

        impl $crate::codec::Decode for $name {
            fn decode(
                reader: &mut $crate::codec::Reader<'_>,
            ) -> Result<Self, $crate::codec::DecodeError> {
                Ok(Self { $($field: $crate::codec::Decode::decode(reader)?,)* })
            }
        }
    };
}

/// Defines an enum of bare names with fixed numbers and a phrase each, and encodes it as its number.
macro_rules! numbered {
    ($(#[$meta:meta])* pub enum $name:ident: $int:ty { $($(#[$doc:meta])* $variant:ident = $number:literal => $phrase:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr($int)]
        pub enum $name { $($(#[$doc])* $variant = $number,)* }

        impl $name {
            /// Every variant, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The variant in words, as logs and people read it.
            #[must_use]
            pub const fn phrase(self) -> &'static str {
                match self { $(Self::$variant => $phrase,)* }
            }

            /// The variant with this number.
            #[must_use]
            pub const fn from_number(number: $int) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.phrase())
            }
        }

        impl $crate::codec::Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                $crate::codec::Encode::encode(&(*self as $int), out);
            }
        }

        impl $crate::codec::Decode for $name {
            fn decode(
                reader: &mut $crate::codec::Reader<'_>,
            ) -> Result<Self, $crate::codec::DecodeError> {
                Self::from_number($crate::codec::Decode::decode(reader)?)
                    .ok_or($crate::codec::DecodeError::Value(stringify!($name)))
            }
        }
    };
}

pub(crate) use {numbered, record};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_over_what_is_left_allocates_nothing() {
        let bytes = [0xff, 0x0f, 0, 0, 1, 2];
        assert_eq!(Vec::<u8>::from_bytes(&bytes), Err(DecodeError::Truncated));
        let bytes = [0xff, 0xff, 0xff, 0xff];
        assert_eq!(String::from_bytes(&bytes), Err(DecodeError::TooLong("text")));
    }

    #[test]
    fn refuses_bytes_that_are_left_over() {
        assert_eq!(u8::from_bytes(&[1, 2]), Err(DecodeError::Trailing));
    }

    #[test]
    fn refuses_other_numbers_for_a_truth_value() {
        assert_eq!(bool::from_bytes(&[2]), Err(DecodeError::Value("truth value")));
    }

    #[test]
    fn lists_texts_and_options_come_back_as_they_went() {
        let value = vec![Some("a".to_owned()), None, Some(String::new())];
        let mut bytes = Vec::new();
        value.encode(&mut bytes);
        assert_eq!(Vec::from_bytes(&bytes), Ok(value));
    }
}
