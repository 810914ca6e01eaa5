//! A disk that is full, with metadata and tiers on one volume.
