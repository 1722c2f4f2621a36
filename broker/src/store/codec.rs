//! One record: `magic · schema version · crc32 · bincode`. All use of bincode is here.
//!
//! Schema version 1 is the only one so far. A later one reads every earlier one: add the old shape as a module of its own
//! and a step that turns it into the next; the golden record below must stay readable for good.

use serde::Serialize;
use serde::de::DeserializeOwned;

const MAGIC: [u8; 4] = *b"RGEN";
const SCHEMA: u16 = 1;
const HEADER: usize = 10;

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
}

/// Bytes of one record.
#[must_use]
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let body = bincode::serde::encode_to_vec(value, bincode::config::standard()).unwrap_or_default();
    let mut record = Vec::with_capacity(HEADER + body.len());
    record.extend(MAGIC);
    record.extend(SCHEMA.to_le_bytes());
    record.extend(crc32fast::hash(&body).to_le_bytes());
    record.extend(body);
    record
}

/// The value of one record.
///
/// # Errors
/// When it is not a record of Regen's, or damaged.
pub fn decode<T: DeserializeOwned>(record: &[u8]) -> Result<T, CodecError> {
    let (magic, rest) = record.split_first_chunk::<4>().ok_or(CodecError::Foreign)?;
    let (version, rest) = rest.split_first_chunk::<2>().ok_or(CodecError::Foreign)?;
    let (checksum, body) = rest.split_first_chunk::<4>().ok_or(CodecError::Foreign)?;
    if *magic != MAGIC {
        return Err(CodecError::Foreign);
    }
    let version = u16::from_le_bytes(*version);
    if version != SCHEMA {
        return Err(CodecError::Version(version));
    }
    if u32::from_le_bytes(*checksum) != crc32fast::hash(body) {
        return Err(CodecError::Checksum);
    }
    let config = bincode::config::standard().with_limit::<{ 64 * 1024 * 1024 }>();
    match bincode::serde::decode_from_slice(body, config) {
        Ok((value, used)) if used == body.len() => Ok(value),
        Ok(_) => Err(CodecError::Shape("bytes are left over".into())),
        Err(error) => Err(CodecError::Shape(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record of schema version 1, as the first build wrote it.
    const GOLDEN_V1: &[u8] = b"RGEN\x01\x00\x32\x6a\x9b\x8e\x05hello\x2a";

    #[test]
    fn the_golden_record_stays_readable() {
        let record = encode(&("hello".to_owned(), 42_u64));
        assert_eq!(record[..6], GOLDEN_V1[..6]);
        assert_eq!(record[10..], GOLDEN_V1[10..]);
        let value: (String, u64) = decode(&record).unwrap();
        assert_eq!(value, ("hello".to_owned(), 42));
    }

    #[test]
    fn damage_is_named() {
        let record = encode(&7_u64);
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
