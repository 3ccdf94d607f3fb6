//! Sets of ids larger than memory.
