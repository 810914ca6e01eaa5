//! The load: connections that read whole files, one after the other.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

/// `ADDRESS CONNECTIONS REQUESTS FILES LENGTH`; prints the seconds that it took.
pub fn run(arguments: &[String]) {
    let number = |index: usize| arguments[index].parse::<usize>().unwrap();
    let (address, connections, requests, files, length) =
        (&arguments[0], number(1), number(2), number(3), number(4));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for connection in 0..connections {
            scope.spawn(move || {
                let mut socket = TcpStream::connect(address).unwrap();
                socket.set_nodelay(true).unwrap();
                let mut buffer = vec![0; 256 * 1024];
                for request in 0..requests {
                    socket.write_all(&[u8::try_from((connection + request) % files).unwrap()]).unwrap();
                    let mut left = length;
                    while left > 0 {
                        let most = left.min(buffer.len());
                        let read = socket.read(&mut buffer[..most]).unwrap();
                        assert!(read > 0, "the server hung up");
                        left -= read;
                    }
                }
            });
        }
    });
    println!("{}", begun.elapsed().as_secs_f64());
}
