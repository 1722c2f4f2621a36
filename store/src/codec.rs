//! Format of a record: `magic · schema version · crc32 · bincode`. All use of bincode is here.
//!
//! Since schema version 2, each record has a number: of two copies, the one with the higher number is newer. Records of
//! version 1 have none and are older than all others. If the shape of a value changes, its older shape stays in
//! [`Readable`], and `golden/` keeps records of every version, which must stay readable for good.

use serde::Serialize;
use serde::de::DeserializeOwned;

const MAGIC: [u8; 4] = *b"RGEN";
const SCHEMA: u16 = 2;
const HEADER: usize = 10;
/// Maximum size of a value, in bytes.
const LIMIT: usize = 64 * 1024 * 1024;

/// Reason that a record cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Data without the header of a record.
    #[error("it is not a record of Regen")]
    Foreign,
    /// A record of an unknown schema version.
    #[error("it has schema version {0}; this build reads versions up to {SCHEMA}")]
    Version(u16),
    /// A checksum that does not match.
    #[error("its checksum does not match")]
    Checksum,
    /// Data that does not decode.
    #[error("it does not decode: {0}")]
    Shape(String),
    /// A value over the size limit.
    #[error("it has {0} bytes (limit {LIMIT})")]
    TooLarge(usize),
    /// A value that cannot be encoded.
    #[error("it cannot be encoded: {0}")]
    Encode(String),
}

/// A value that can be read from records of every version.
pub trait Readable: DeserializeOwned {
    /// Shape of the value in schema version 1.
    type V1: DeserializeOwned + Into<Self>;
}

/// A value with the number of its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<T> {
    /// Number of the record; later records have higher ones.
    pub number: u64,
    /// Value.
    pub value: T,
}

/// Encodes a record.
///
/// # Errors
/// Returns an error if the value cannot be encoded or is too large to be read again.
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

/// Encodes a value as the body of a record.
pub(super) fn body<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    bincode::serde::encode_to_vec(value, bincode::config::standard())
        .map_err(|error| CodecError::Encode(error.to_string()))
}

/// Decodes a record.
///
/// # Errors
/// Returns an error if the bytes are no record, or damaged.
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
        Ok(_) => Err(CodecError::Shape("trailing bytes".into())),
        Err(error) => Err(CodecError::Shape(error.to_string())),
    }
}

/// Returns the first 12 bytes in hexadecimal, as the name of a record.
pub(super) fn short_name(bytes: &[u8]) -> String {
    bytes.iter().take(12).map(|byte| format!("{byte:02x}")).collect()
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
