//! The seam to whoever starts servers: the launcher, or a script in tests.
