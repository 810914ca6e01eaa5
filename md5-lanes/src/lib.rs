//! MD5 (RFC 1321) of several bodies at once.
//!
//! Each step of MD5 waits for the one before it, so that one body keeps a fraction of a core's arithmetic busy. The
//! bodies of different uploads do not wait for one another: [`update_together`] takes up to [`LANES`] of them a step
//! further with the instructions that one takes alone. Which instructions the processor has is asked at run time.

#![cfg_attr(test, allow(clippy::unwrap_used))]
// Code uses the instructions of the function that it is inlined into, which `dispatch` makes for each kind of processor.
#![allow(clippy::inline_always)]

use std::array;
use std::num::Wrapping;
use std::ops::{Add, BitAnd, BitOr, BitXor, Not};

use fearless_simd::{Level, Simd, SimdBase, SimdFrom, dispatch, u32x4, u32x8};

/// How many bodies [`update_together`] takes at once.
pub const LANES: usize = 8;

/// Bytes that MD5 takes in one turn: what [`update_together`] is given is best a multiple of it.
pub const BLOCK_BYTES: usize = 64;

type Block = [u8; BLOCK_BYTES];

/// The digest of the bytes so far of one body.
#[derive(Clone, Debug)]
pub struct Md5 {
    state: [u32; 4],
    /// Bytes so far.
    length: u64,
    /// The last of them, which do not fill a block.
    rest: Block,
}

impl Default for Md5 {
    fn default() -> Self {
        Self::new()
    }
}

impl Md5 {
    /// Of no bytes.
    pub const fn new() -> Self {
        let state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
        Self { state, length: 0, rest: [0; BLOCK_BYTES] }
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let (blocks, rest) = self.fill(bytes).as_chunks();
        compress_one(&mut self.state, blocks);
        self.length += blocks.as_flattened().len() as u64;
        self.keep(rest);
    }

    /// The digest.
    pub fn finalize(mut self) -> [u8; 16] {
        // RFC 1321, 3.1 and 3.2: a one bit, zeros, and the length in bits, which ends a block.
        let bits = self.length.wrapping_mul(8);
        let zeros = (2 * BLOCK_BYTES - 1 - size_of_val(&bits) - self.held()) % BLOCK_BYTES;
        self.update(&[0x80]);
        self.update(&[0; BLOCK_BYTES][..zeros]);
        self.update(&bits.to_le_bytes());
        let mut digest = [0; 16];
        for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(self.state) {
            *bytes = word.to_le_bytes();
        }
        digest
    }

    /// How many bytes wait for their block to be full.
    fn held(&self) -> usize {
        // Less than a block's, whatever the platform's word is.
        #[allow(clippy::cast_possible_truncation)]
        let held = (self.length % BLOCK_BYTES as u64) as usize;
        held
    }

    /// Fills the block that was begun. What is left of `bytes`; unless that is nothing, no block is begun any more.
    fn fill<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let held = self.held();
        if held == 0 {
            return bytes;
        }
        let (head, bytes) = bytes.split_at(bytes.len().min(BLOCK_BYTES - held));
        self.keep(head);
        if self.held() == 0 && !head.is_empty() {
            compress_one(&mut self.state, &[self.rest]);
        }
        bytes
    }

    /// Takes in what does at most fill the block that was begun.
    fn keep(&mut self, rest: &[u8]) {
        let held = self.held();
        self.rest[held..held + rest.len()].copy_from_slice(rest);
        self.length += rest.len() as u64;
    }
}

/// Takes in the next bytes of several bodies, as [`Md5::update`] would of each. It is the faster the more of them
/// there are, up to [`LANES`], and the more alike they are in length.
pub fn update_together(bodies: &mut [(&mut Md5, &[u8])]) {
    let level = level();
    for group in bodies.chunks_mut(LANES) {
        for (md5, bytes) in &mut *group {
            *bytes = md5.fill(bytes);
        }
        match group.len() {
            0 | 1 => {}
            2..=4 => dispatch!(level, simd => advance::<4, _, u32x4<_>>(simd, group)),
            _ => dispatch!(level, simd => advance::<LANES, _, u32x8<_>>(simd, group)),
        }
        for (md5, bytes) in group {
            md5.update(bytes);
        }
    }
}

/// The instructions of the processor, up to AVX2: with the instructions of AVX-512 the lanes were slower (decision 0012).
fn level() -> Level {
    let level = Level::new();
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = level.as_avx2() {
        return Level::Avx2(avx2);
    }
    level
}

/// Takes in the blocks that all bodies of the group have. The group holds one body at least and `N` at most.
#[inline(always)]
fn advance<const N: usize, S: Simd, W: Words<N, S>>(simd: S, group: &mut [(&mut Md5, &[u8])]) {
    let shared = group.iter().map(|(_, bytes)| bytes.len() / BLOCK_BYTES).min().unwrap_or(0);
    // A lane without a body repeats the first one's work.
    let filled: [_; N] = array::from_fn(|lane| &group[if lane < group.len() { lane } else { 0 }]);
    let mut state = array::from_fn(|word| W::new(simd, filled.map(|(md5, _)| md5.state[word])));
    compress(simd, &mut state, filled.map(|(_, bytes)| &bytes.as_chunks().0[..shared]));
    let state = state.map(W::into_array);
    for (lane, (md5, bytes)) in group.iter_mut().enumerate() {
        md5.state = state.map(|word| word[lane]);
        md5.length += (shared * BLOCK_BYTES) as u64;
        *bytes = &bytes[shared * BLOCK_BYTES..];
    }
}

fn compress_one(state: &mut [u32; 4], blocks: &[Block]) {
    let mut words = state.map(Wrapping);
    compress((), &mut words, [blocks]);
    *state = words.map(|word| word.0);
}

/// A word of each of `N` bodies, side by side. `S` stands for the instructions that they are computed with.
trait Words<const N: usize, S>:
    Copy
    + Add<Output = Self>
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + BitXor<Output = Self>
    + Not<Output = Self>
{
    fn new(simd: S, words: [u32; N]) -> Self;
    /// The words of a block, in order.
    fn of_blocks(simd: S, blocks: [&Block; N]) -> [Self; 16];
    fn rotate_left(self, bits: u32) -> Self;
    fn into_array(self) -> [u32; N];
}

/// RFC 1321, 2: a word begins with its lowest byte.
#[inline(always)]
fn word(block: &Block, place: usize) -> u32 {
    u32::from_le_bytes(block.as_chunks().0[place])
}

impl Words<1, ()> for Wrapping<u32> {
    #[inline(always)]
    fn new((): (), [word]: [u32; 1]) -> Self {
        Self(word)
    }

    #[inline(always)]
    fn of_blocks((): (), [block]: [&Block; 1]) -> [Self; 16] {
        array::from_fn(|place| Self(word(block, place)))
    }

    #[inline(always)]
    fn rotate_left(self, bits: u32) -> Self {
        Self(self.0.rotate_left(bits))
    }

    #[inline(always)]
    fn into_array(self) -> [u32; 1] {
        [self.0]
    }
}

macro_rules! words_side_by_side {
    ($vector:ident, $lanes:literal) => {
        impl<S: Simd> Words<$lanes, S> for $vector<S> {
            #[inline(always)]
            fn new(simd: S, words: [u32; $lanes]) -> Self {
                Self::simd_from(simd, words)
            }

            #[inline(always)]
            fn of_blocks(simd: S, blocks: [&Block; $lanes]) -> [Self; 16] {
                let mut words = [Self::splat(simd, 0); 16];
                for (at, square) in words.as_chunks_mut::<$lanes>().0.iter_mut().enumerate() {
                    let rows = blocks.map(|block| {
                        Self::simd_from(simd, array::from_fn(|column| word(block, at * $lanes + column)))
                    });
                    *square = transpose(rows, |upper, lower| upper.interleave(lower));
                }
                words
            }

            #[inline(always)]
            fn rotate_left(self, bits: u32) -> Self {
                (self << bits) | (self >> (32 - bits))
            }

            #[inline(always)]
            fn into_array(self) -> [u32; $lanes] {
                self.into()
            }
        }
    };
}

words_side_by_side!(u32x4, 4);
words_side_by_side!(u32x8, 8);

/// Turns the rows of a square into its columns. `N` is a power of two.
///
/// Interleaving each row with the one half a square below it doubles the distance of neighbours in a row; after as many
/// rounds as `N` has doublings, neighbours come from neighbouring rows.
#[inline(always)]
fn transpose<const N: usize, W: Copy>(mut rows: [W; N], interleave: impl Fn(W, W) -> (W, W)) -> [W; N] {
    for _ in 0..N.ilog2() {
        let before = rows;
        for row in 0..N / 2 {
            (rows[2 * row], rows[2 * row + 1]) = interleave(before[row], before[row + N / 2]);
        }
    }
    rows
}

/// RFC 1321, 3.4: the whole part of 2^32 times the absolute value of the sine of 1, 2, ... 64.
const SINES: [u32; 64] = [
    0xd76a_a478,
    0xe8c7_b756,
    0x2420_70db,
    0xc1bd_ceee,
    0xf57c_0faf,
    0x4787_c62a,
    0xa830_4613,
    0xfd46_9501,
    0x6980_98d8,
    0x8b44_f7af,
    0xffff_5bb1,
    0x895c_d7be,
    0x6b90_1122,
    0xfd98_7193,
    0xa679_438e,
    0x49b4_0821,
    0xf61e_2562,
    0xc040_b340,
    0x265e_5a51,
    0xe9b6_c7aa,
    0xd62f_105d,
    0x0244_1453,
    0xd8a1_e681,
    0xe7d3_fbc8,
    0x21e1_cde6,
    0xc337_07d6,
    0xf4d5_0d87,
    0x455a_14ed,
    0xa9e3_e905,
    0xfcef_a3f8,
    0x676f_02d9,
    0x8d2a_4c8a,
    0xfffa_3942,
    0x8771_f681,
    0x6d9d_6122,
    0xfde5_380c,
    0xa4be_ea44,
    0x4bde_cfa9,
    0xf6bb_4b60,
    0xbebf_bc70,
    0x289b_7ec6,
    0xeaa1_27fa,
    0xd4ef_3085,
    0x0488_1d05,
    0xd9d4_d039,
    0xe6db_99e5,
    0x1fa2_7cf8,
    0xc4ac_5665,
    0xf429_2244,
    0x432a_ff97,
    0xab94_23a7,
    0xfc93_a039,
    0x655b_59c3,
    0x8f0c_cc92,
    0xffef_f47d,
    0x8584_5dd1,
    0x6fa8_7e4f,
    0xfe2c_e6e0,
    0xa301_4314,
    0x4e08_11a1,
    0xf753_7e82,
    0xbd3a_f235,
    0x2ad7_d2bb,
    0xeb86_d391,
];

/// By how many bits each round rotates, step by step.
const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// Takes the blocks of each body in: of all as many as the first has.
#[inline(always)]
fn compress<const N: usize, S: Copy, W: Words<N, S>>(simd: S, state: &mut [W; 4], bodies: [&[Block]; N]) {
    for number in 0..bodies[0].len() {
        let words = W::of_blocks(simd, bodies.map(|blocks| &blocks[number]));
        let mut next = *state;
        round::<0, N, S, W>(simd, &mut next, &words, |b, c, d| d ^ (b & (c ^ d)), |step| step);
        round::<1, N, S, W>(simd, &mut next, &words, |b, c, d| c ^ (d & (b ^ c)), |step| 5 * step + 1);
        round::<2, N, S, W>(simd, &mut next, &words, |b, c, d| b ^ c ^ d, |step| 3 * step + 5);
        round::<3, N, S, W>(simd, &mut next, &words, |b, c, d| c ^ (b | !d), |step| 7 * step);
        *state = array::from_fn(|word| state[word] + next[word]);
    }
}

/// Sixteen steps, each with another word of the block.
#[inline(always)]
fn round<const ROUND: usize, const N: usize, S: Copy, W: Words<N, S>>(
    simd: S,
    state: &mut [W; 4],
    words: &[W; 16],
    mix: impl Fn(W, W, W) -> W,
    place: impl Fn(usize) -> usize,
) {
    // Written out, since the compiler leaves a loop of sixteen a loop, with rotations by what a register says.
    macro_rules! steps {
        ($($step:literal)*) => {$(
            let [a, b, c, d] = *state;
            let sine = W::new(simd, [SINES[16 * ROUND + $step]; N]);
            // Last what the step before was waited for.
            let sum = (a + (sine + words[place($step) % 16])) + mix(b, c, d);
            *state = [d, b + sum.rotate_left(SHIFTS[ROUND][$step % 4]), b, c];
        )*};
    }
    steps!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
}

#[cfg(test)]
mod tests;
