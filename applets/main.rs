//! evms
fn main() {}
