//! A completion of very many copied pieces.
