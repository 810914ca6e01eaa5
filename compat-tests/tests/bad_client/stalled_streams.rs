//! Bodies and streams that stall.
