//! Who may do what: one function decides, for both fronts.

pub mod administer;
pub mod decide;
