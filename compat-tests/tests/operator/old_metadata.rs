//! A start on metadata older than the tiers.
