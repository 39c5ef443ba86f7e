//! How the file of intents is written: two halves of equal size, of which one counts.
//!
//! A half is a header and then frames, each behind the other. Header and frames bear the number of
//! their generation and a checksum, so that what an earlier generation has left behind a newer one is
//! not taken for its own, and a frame that was torn by a crash ends the half: nobody was told that it
//! stands. Of two valid headers the one of the later generation counts.
//!
//! | header (64 bytes) | | frame | |
//! |---|---|---|---|
//! | magic | 8 | length of its payload | 4 |
//! | generation | 8 | number within its half, from 0 | 4 |
//! | length of a half | 8 | generation | 8 |
//! | SHA-256 of these | 32 | first half of the SHA-256 of these and the payload | 16 |
//! | nothing | 8 | payload, filled up to a multiple of 8 | |
//!
//! All numbers are little-endian.

use ring::digest::{Context, SHA256};

const MAGIC: [u8; 8] = *b"vigia-i1";
/// What lies before the frames of a half, in bytes.
pub(super) const HEADER: usize = 64;
/// What lies before the payload of a frame, in bytes.
const BEFORE_PAYLOAD: usize = 32;
const CHECKSUM: usize = 16;
const ALIGNED: usize = 8;

/// The header of a half of so many bytes.
pub(super) fn header(generation: u64, half: u64) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(generation.to_le_bytes());
    bytes.extend(half.to_le_bytes());
    let sum = checksum(&[&bytes]);
    bytes.extend(sum);
    bytes.resize(HEADER, 0);
    bytes
}

/// The generation that a half begins with; `None` where no valid header of such a half stands.
pub(super) fn generation(bytes: &[u8], half: u64) -> Option<u64> {
    let number = u64::from_le_bytes(bytes.get(8..16)?.try_into().ok()?);
    (bytes.get(..HEADER)? == header(number, half)).then_some(number)
}

/// One frame.
pub(super) fn frame(generation: u64, number: u32, payload: &[u8]) -> Vec<u8> {
    // What is as long as this fits into no half.
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(BEFORE_PAYLOAD + payload.len() + ALIGNED);
    bytes.extend(length.to_le_bytes());
    bytes.extend(number.to_le_bytes());
    bytes.extend(generation.to_le_bytes());
    let sum = checksum(&[&bytes, payload]);
    bytes.extend(&sum[..CHECKSUM]);
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(ALIGNED), 0);
    bytes
}

/// The payloads of what follows a header of this generation, up to the first frame that is none.
pub(super) fn payloads(mut bytes: &[u8], generation: u64) -> (Vec<&[u8]>, usize) {
    let (mut found, mut taken) = (vec![], 0);
    while let Some((payload, length)) = first(bytes, generation, found.len()) {
        found.push(payload);
        taken += length;
        bytes = &bytes[length..];
    }
    (found, taken)
}

fn first(bytes: &[u8], generation: u64, number: usize) -> Option<(&[u8], usize)> {
    let length = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let payload = bytes.get(BEFORE_PAYLOAD..BEFORE_PAYLOAD.checked_add(length)?)?;
    let number = u32::try_from(number).ok()?;
    let expected = frame(generation, number, payload);
    let stands = bytes.get(..expected.len())?;
    (stands == expected).then_some((payload, expected.len()))
}

fn checksum(parts: &[&[u8]]) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    context.finish().as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_up_to_what_is_torn_or_of_another_generation() {
        let mut bytes = vec![];
        for (number, payload) in [(0, "one"), (1, "a longer one"), (2, "")] {
            bytes.extend(frame(7, number, payload.as_bytes()));
        }
        let whole = bytes.len();
        bytes.extend(frame(6, 3, b"of the generation before"));
        let (found, taken) = payloads(&bytes, 7);
        assert_eq!(found, [b"one".as_slice(), b"a longer one", b""]);
        assert_eq!(taken, whole);
        for cut in 0..whole {
            let (found, taken) = payloads(&bytes[..cut], 7);
            assert!(taken <= cut && found.len() < 3, "{cut}");
        }
        for flipped in 0..40 {
            let mut bytes = bytes.clone();
            bytes[flipped] ^= 1;
            assert!(payloads(&bytes, 7).0.is_empty(), "byte {flipped}");
        }
    }

    #[test]
    fn a_header_is_of_one_generation_and_one_size() {
        let bytes = header(3, 4096);
        assert_eq!(bytes.len(), HEADER);
        assert_eq!(generation(&bytes, 4096), Some(3));
        assert_eq!(generation(&bytes, 8192), None);
        assert_eq!(generation(&bytes[..40], 4096), None);
        let mut torn = bytes;
        torn[9] ^= 1;
        assert_eq!(generation(&torn, 4096), None);
    }
}
