//! The private half of the Python package `qmoor`: Arrow in and out, the interpreter let go while the
//! work is done, and errors handed to `qmoor.errors`. What it means is in `qmoor-client`.

mod arrow;
mod errors;
mod ids;
mod mailbox;
mod runtime;
mod searcher;
mod target;
mod writer;

use pyo3::prelude::*;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<arrow::Stream>()?;
    module.add_class::<writer::Writer>()?;
    module.add_class::<mailbox::Mailbox>()?;
    module.add_class::<searcher::Searcher>()?;
    module.add_function(wrap_pyfunction!(ids::point_ids, module)?)?;
    module.add_function(wrap_pyfunction!(target::ensure_collection, module)?)?;
    Ok(())
}
