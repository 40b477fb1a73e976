//! House rules, as tests: what a reader of the repository may rely on without reading all of it.

mod arrows;
mod documents;
mod files;
mod repository;
mod unsafe_code;
mod words;
