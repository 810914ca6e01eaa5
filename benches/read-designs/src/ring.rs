//! Reads through an io_uring that all connections share; its completions wake tokio.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::{Arc, Mutex};

use io_uring::{IoUring, opcode, types};
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;

/// The buffers are the ring's until their completion is taken.
type Waiting = HashMap<u64, (Vec<u8>, oneshot::Sender<Vec<u8>>)>;

pub struct Ring {
    state: Mutex<(IoUring, Waiting, u64)>,
}

impl Ring {
    pub fn new() -> Arc<Self> {
        let ring = IoUring::new(256).expect("an io_uring; containers often forbid it");
        let descriptor = ring.as_fd().try_clone_to_owned().expect("a descriptor");
        let this = Arc::new(Self { state: Mutex::new((ring, Waiting::new(), 0)) });
        let weak = Arc::downgrade(&this);
        tokio::spawn(async move {
            // SAFETY: the descriptor is owned, and stays open as long as its registration.
            let ready = unsafe { AsyncFd::register(descriptor) }.expect("a descriptor that can be polled");
            while let Ok(mut guard) = ready.readable().await {
                let Some(ring) = weak.upgrade() else { return };
                guard.clear_ready();
                ring.reap();
            }
        });
        this
    }

    fn reap(&self) {
        let mut state = self.state.lock().unwrap();
        let (ring, waiting, _) = &mut *state;
        for completion in ring.completion() {
            if let Some((mut buffer, sender)) = waiting.remove(&completion.user_data()) {
                let length = usize::try_from(completion.result()).expect("a read that succeeds");
                // SAFETY: the kernel has written that many bytes, which the capacity holds.
                unsafe { buffer.set_len(length) };
                let _ = sender.send(buffer);
            }
        }
    }

    pub async fn read(&self, file: &File, offset: u64, length: usize) -> Vec<u8> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.state.lock().unwrap();
            let (ring, waiting, number) = &mut *state;
            *number += 1;
            let mut buffer: Vec<u8> = Vec::with_capacity(length);
            let entry = opcode::Read::new(
                types::Fd(file.as_raw_fd()),
                buffer.as_mut_ptr(),
                u32::try_from(length).unwrap(),
            )
            .offset(offset)
            .build()
            .user_data(*number);
            waiting.insert(*number, (buffer, sender));
            // SAFETY: the buffer is kept in `waiting`, the file by its source, until the completion is taken.
            unsafe { ring.submission().push(&entry).expect("room in the ring") };
            ring.submit().unwrap();
        }
        // What the page cache had is complete by now.
        self.reap();
        receiver.await.unwrap()
    }
}
