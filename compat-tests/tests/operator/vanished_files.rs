//! Files that vanish under a running server.
