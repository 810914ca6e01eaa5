//! What a body may look like, and how it is cut.
