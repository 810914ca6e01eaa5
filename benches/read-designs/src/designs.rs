//! The designs.

use std::fs::File;
use std::io::IoSliceMut;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use crc_fast::CrcAlgorithm;
use memmap2::Mmap;
use rustix::fs::Advice;
use rustix::io::ReadWriteFlags;
use tokio::task::JoinHandle;

use crate::BLOCK;
use crate::ring::Ring;

/// What is read at a time, as in the store.
const CHUNK: usize = 8 * BLOCK;
/// Up to so much is read without changing threads, if the page cache has it.
const INLINE: usize = 2 * BLOCK;

pub fn checksum(block: &[u8]) -> u32 {
    u32::try_from(crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, block)).unwrap()
}

/// A file and the checksums of its blocks.
pub struct Source {
    pub file: File,
    length: usize,
    checksums: Vec<u32>,
    mapping: Mutex<Option<Bytes>>,
}

impl Source {
    pub fn new(file: File, length: u64, checksums: Vec<u32>) -> Self {
        Self { file, length: usize::try_from(length).unwrap(), checksums, mapping: Mutex::new(None) }
    }

    fn check(&self, bytes: &[u8], offset: usize) {
        for (block, expected) in bytes.chunks(BLOCK).zip(&self.checksums[offset / BLOCK..]) {
            assert_eq!(checksum(block), *expected);
        }
    }

    fn mapping(&self) -> Bytes {
        let mut mapping = self.mapping.lock().unwrap();
        mapping
            .get_or_insert_with(|| {
                // SAFETY: nothing changes the file; a real store could not promise that of its disk.
                let map = unsafe { Mmap::map(&self.file) }.unwrap();
                map.advise(memmap2::Advice::Sequential).unwrap();
                Bytes::from_owner(map)
            })
            .clone()
    }

    pub fn forget_mapping(&self) {
        *self.mapping.lock().unwrap() = None;
    }

    /// What the page cache has of it; whether that is all.
    fn pread_now(&self, offset: usize, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        let mut slices = [IoSliceMut::new(&mut bytes)];
        let read = rustix::io::preadv2(&self.file, &mut slices, offset as u64, ReadWriteFlags::NOWAIT);
        (read == Ok(length)).then_some(bytes)
    }

    /// Into fresh memory that was not zeroed.
    fn pread(&self, offset: usize, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let at = (offset + bytes.len()) as u64;
            let read = rustix::io::pread(&self.file, rustix::buffer::spare_capacity(&mut bytes), at).unwrap();
            assert!(read > 0);
        }
        bytes.truncate(length);
        bytes
    }
}

#[derive(Clone, Copy)]
pub enum Design {
    /// `pread` and check on a thread that may wait, the next chunk while this one is sent; small ones in place.
    Threads,
    /// The same without reading ahead.
    ThreadsLazily,
    /// `preadv2` with `RWF_NOWAIT` and check on the thread that sends; what the page cache lacks on another.
    InPlace,
    /// A mapping, checked on the thread that sends.
    Mapped,
    /// A mapping, touched and checked on a thread that may wait.
    MappedThreads,
    /// One ring for all, checked on the thread that sends, the next chunk while this one is sent.
    Ring,
    /// `pread` on a thread that may wait, nothing checked: what checking costs.
    Unchecked,
}

impl Design {
    pub const ALL: [Self; 7] = [
        Self::Threads,
        Self::ThreadsLazily,
        Self::InPlace,
        Self::Mapped,
        Self::MappedThreads,
        Self::Ring,
        Self::Unchecked,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Threads => "pread ahead",
            Self::ThreadsLazily => "pread",
            Self::InPlace => "in place",
            Self::Mapped => "mmap",
            Self::MappedThreads => "mmap, pool",
            Self::Ring => "io_uring",
            Self::Unchecked => "no check",
        }
    }

    pub fn reader(self, source: &Arc<Source>, ring: &Arc<Ring>) -> Reader {
        if source.length >= 2 << 20 {
            rustix::fs::fadvise(&source.file, 0, None, Advice::Sequential).unwrap();
        }
        Reader { design: self, source: Arc::clone(source), ring: Arc::clone(ring), at: 0, ahead: None }
    }
}

pub struct Reader {
    design: Design,
    source: Arc<Source>,
    ring: Arc<Ring>,
    at: usize,
    ahead: Option<JoinHandle<Bytes>>,
}

impl Reader {
    pub async fn next(&mut self) -> Option<Bytes> {
        if self.at == self.source.length {
            return None;
        }
        let (this, waited) = match self.ahead.take() {
            Some(job) => (job.await.unwrap(), true),
            None => self.read(self.at).await,
        };
        self.at += this.len();
        let ahead = match self.design {
            Design::ThreadsLazily | Design::Mapped => false,
            Design::InPlace => waited,
            _ => true,
        };
        if ahead && self.at < self.source.length {
            self.ahead = Some(self.begin(self.at));
        }
        Some(this)
    }

    fn length(&self, offset: usize) -> usize {
        CHUNK.min(self.source.length - offset)
    }

    /// The chunk, and whether it came from another thread.
    async fn read(&self, offset: usize) -> (Bytes, bool) {
        let length = self.length(offset);
        match self.design {
            Design::Mapped => (step(self.design, &self.source, offset, length), false),
            Design::InPlace if let Some(bytes) = self.source.pread_now(offset, length) => {
                self.source.check(&bytes, offset);
                (bytes.into(), false)
            }
            // The store asks the page cache first (RWF_NOWAIT); here it always has it.
            Design::Threads | Design::ThreadsLazily | Design::Unchecked | Design::MappedThreads
                if self.source.length <= INLINE =>
            {
                (step(self.design, &self.source, offset, length), false)
            }
            _ => (self.begin(offset).await.unwrap(), true),
        }
    }

    fn begin(&self, offset: usize) -> JoinHandle<Bytes> {
        let (design, source, length) = (self.design, Arc::clone(&self.source), self.length(offset));
        if let Design::Ring = design {
            let ring = Arc::clone(&self.ring);
            return tokio::spawn(async move {
                let bytes = ring.read(&source.file, offset as u64, length).await;
                assert_eq!(bytes.len(), length);
                source.check(&bytes, offset);
                bytes.into()
            });
        }
        tokio::task::spawn_blocking(move || step(design, &source, offset, length))
    }
}

fn step(design: Design, source: &Source, offset: usize, length: usize) -> Bytes {
    let bytes = match design {
        Design::Mapped | Design::MappedThreads => source.mapping().slice(offset..offset + length),
        _ => source.pread(offset, length).into(),
    };
    if !matches!(design, Design::Unchecked) {
        source.check(&bytes, offset);
    }
    bytes
}
