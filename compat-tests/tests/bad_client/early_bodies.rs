//! Bodies that are sent before anybody is authenticated.
