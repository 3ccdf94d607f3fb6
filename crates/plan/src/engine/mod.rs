//! Which engine may open which data: images by tag and digest, and the versions that may follow each other.

mod image;
mod lineage;

pub use image::{Image, ImageError, Version};
pub use lineage::{Lineage, LineageError};
