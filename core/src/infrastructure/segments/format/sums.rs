//! Checksums of payloads: CRC-32C, and the table of one for each block.

use crc_fast::CrcAlgorithm;

use super::{BLOCK, BLOCK_SIZE};

/// CRC-32C (Castagnoli; "CRC-32/ISCSI" in the catalogue) of `bytes`.
pub fn crc32c(bytes: &[u8]) -> u32 {
    low32(crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes))
}

/// CRC-32C of bytes that come in pieces.
#[derive(Clone, Copy, Debug)]
pub struct Crc32c(crc_fast::Digest);

impl Crc32c {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self(crc_fast::Digest::new(CrcAlgorithm::Crc32Iscsi))
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The CRC of all bytes so far.
    pub fn value(&self) -> u32 {
        low32(self.0.finalize())
    }
}

impl Default for Crc32c {
    fn default() -> Self {
        Self::new()
    }
}

/// A 32-bit CRC out of the 64 bits that the crate answers for every width.
#[allow(clippy::cast_possible_truncation, reason = "the upper half of a 32-bit CRC is zero")]
fn low32(crc: u64) -> u32 {
    crc as u32
}

/// The length of the CRC table behind a payload, in bytes.
pub fn table_length(payload_length: u64) -> u64 {
    payload_length.div_ceil(BLOCK) * 4
}

/// Computes the CRC table of a payload while it passes by.
#[derive(Debug)]
pub struct BlockSums {
    table: Vec<u8>,
    open: Crc32c,
    filled: usize,
}

impl BlockSums {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self { table: Vec::new(), open: Crc32c::new(), filled: 0 }
    }

    /// Takes in the next bytes of the payload.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(bytes.len().min(BLOCK_SIZE - self.filled));
            bytes = rest;
            if piece.len() == BLOCK_SIZE {
                self.table.extend_from_slice(&crc32c(piece).to_le_bytes());
                continue;
            }
            self.open.update(piece);
            self.filled += piece.len();
            if self.filled == BLOCK_SIZE {
                self.close_block();
            }
        }
    }

    /// The whole table.
    pub fn finish(mut self) -> Vec<u8> {
        if self.filled > 0 {
            self.close_block();
        }
        self.table
    }

    fn close_block(&mut self) {
        self.table.extend_from_slice(&self.open.value().to_le_bytes());
        self.open = Crc32c::new();
        self.filled = 0;
    }
}

impl Default for BlockSums {
    fn default() -> Self {
        Self::new()
    }
}

/// Checks `blocks`, whole blocks of a payload (its last one may be short), against their part of the CRC
/// table. Fails with the offset inside `blocks` of the first bad one.
pub fn verify_blocks(blocks: &[u8], table: &[u8]) -> Result<(), usize> {
    let (sums, _) = table.as_chunks::<4>();
    for (number, block) in blocks.chunks(BLOCK_SIZE).enumerate() {
        if sums.get(number).is_none_or(|sum| u32::from_le_bytes(*sum) != crc32c(block)) {
            return Err(number * BLOCK_SIZE);
        }
    }
    Ok(())
}
