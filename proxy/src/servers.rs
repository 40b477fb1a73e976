//! Who speaks to servers. Reading order: [`spawn`] (the seam to whoever starts them), [`launcher`].

pub mod launcher;
pub mod spawn;
