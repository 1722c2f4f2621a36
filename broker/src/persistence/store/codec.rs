//! One record: `magic · schema version · crc32 · bincode`. All use of bincode is here.
//!
//! Schema version 2 says of every record which of all it is: of two copies, the one with the higher number is the later one.
//! Records of version 1 have no number, and were before all others. Where the shape of a value changes, its older shape
//! stays in [`Readable`], and `golden/` keeps records of every version, which must stay readable for good.

use serde::Serialize;
use serde::de::DeserializeOwned;

const MAGIC: [u8; 4] = *b"RGEN";
const SCHEMA: u16 = 2;
const HEADER: usize = 10;
/// The longest value that is decoded.
const LIMIT: usize = 64 * 1024 * 1024;

/// Why a record cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Not a record of Regen's.
    #[error("it is not a record of Regen's")]
    Foreign,
    /// Written by another version.
    #[error("it has schema version {0}, this build reads up to {SCHEMA}")]
    Version(u16),
    /// Bits have changed.
    #[error("its checksum does not match")]
    Checksum,
    /// The shape is wrong.
    #[error("it does not decode: {0}")]
    Shape(String),
    /// It could not be read again.
    #[error("a record of {0} bytes is larger than the {LIMIT} that are read")]
    TooLarge(usize),
    /// The value has no encoding.
    #[error("it cannot be encoded: {0}")]
    Encode(String),
}

/// A value that can be read from records of every version.
pub trait Readable: DeserializeOwned {
    /// As version 1 had it.
    type V1: DeserializeOwned + Into<Self>;
}

/// A value, and which of all records it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<T> {
    /// Later records have higher numbers.
    pub number: u64,
    /// What it says.
    pub value: T,
}

/// Bytes of one record.
///
/// # Errors
/// When it could not be read again: nothing is written then.
pub fn encode<T: Serialize>(number: u64, value: &T) -> Result<Vec<u8>, CodecError> {
    let body = body(&(number, value))?;
    if body.len() > LIMIT {
        return Err(CodecError::TooLarge(body.len()));
    }
    let mut record = Vec::with_capacity(HEADER + body.len());
    record.extend(MAGIC);
    record.extend(SCHEMA.to_le_bytes());
    record.extend(crc32fast::hash(&body).to_le_bytes());
    record.extend(body);
    Ok(record)
}

/// Bytes of a value, as they are in a record.
pub(super) fn body<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    bincode::serde::encode_to_vec(value, bincode::config::standard())
        .map_err(|error| CodecError::Encode(error.to_string()))
}

/// The value of one record.
///
/// # Errors
/// When it is not a record of Regen's, or damaged.
pub fn decode<T: Readable>(record: &[u8]) -> Result<Record<T>, CodecError> {
    let (magic, rest) = record.split_first_chunk::<4>().ok_or(CodecError::Foreign)?;
    let (version, rest) = rest.split_first_chunk::<2>().ok_or(CodecError::Foreign)?;
    let (checksum, body) = rest.split_first_chunk::<4>().ok_or(CodecError::Foreign)?;
    if *magic != MAGIC {
        return Err(CodecError::Foreign);
    }
    let version = u16::from_le_bytes(*version);
    if !(1..=SCHEMA).contains(&version) {
        return Err(CodecError::Version(version));
    }
    if u32::from_le_bytes(*checksum) != crc32fast::hash(body) {
        return Err(CodecError::Checksum);
    }
    if version == 1 {
        return Ok(Record { number: 0, value: shape::<T::V1>(body)?.into() });
    }
    let (number, value) = shape(body)?;
    Ok(Record { number, value })
}

fn shape<T: DeserializeOwned>(body: &[u8]) -> Result<T, CodecError> {
    match bincode::serde::decode_from_slice(body, bincode::config::standard().with_limit::<LIMIT>()) {
        Ok((value, used)) if used == body.len() => Ok(value),
        Ok(_) => Err(CodecError::Shape("bytes are left over".into())),
        Err(error) => Err(CodecError::Shape(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Readable for u64 {
        type V1 = Self;
    }
    impl Readable for String {
        type V1 = Self;
    }
    impl Readable for Vec<String> {
        type V1 = Self;
    }

    #[test]
    fn what_was_written_comes_back_with_its_number() {
        let record = encode(9, &"hello".to_owned()).unwrap();
        assert_eq!(decode(&record), Ok(Record { number: 9, value: "hello".to_owned() }));
    }

    #[test]
    fn what_could_not_be_read_again_is_not_written() {
        let long = "x".repeat(LIMIT + 1);
        assert!(matches!(encode(1, &long), Err(CodecError::TooLarge(size)) if size > LIMIT));
    }

    #[test]
    fn damage_is_named() {
        let record = encode(1, &7_u64).unwrap();
        let mut flipped = record.clone();
        *flipped.last_mut().unwrap() ^= 1;
        assert_eq!(decode::<u64>(&flipped), Err(CodecError::Checksum));
        let mut newer = record.clone();
        newer[4] = 9;
        assert_eq!(decode::<u64>(&newer), Err(CodecError::Version(9)));
        assert_eq!(decode::<u64>(b"nonsense"), Err(CodecError::Foreign));
        assert_eq!(decode::<u64>(b"nonsense and more"), Err(CodecError::Foreign));
        assert!(matches!(decode::<String>(&record), Err(CodecError::Shape(_))));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = decode::<Vec<String>>(&bytes);
        }
    }
}
