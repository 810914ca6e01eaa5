//! Changes: facts are loaded, the domain plans, the plan is written.

pub(crate) mod adopt;
pub(crate) mod batch;
pub(crate) mod buckets;
pub(crate) mod candidates;
pub(crate) mod commit;
pub(crate) mod completions;
pub(crate) mod content;
pub(crate) mod counts;
pub(crate) mod credentials;
pub(crate) mod delete;
pub(crate) mod drafts;
pub(crate) mod expire;
pub(crate) mod extents;
pub(crate) mod limits;
pub(crate) mod once;
pub(crate) mod parts;
pub(crate) mod put;
pub(crate) mod rename;
pub(crate) mod segments;
pub(crate) mod settings;
pub(crate) mod spaces;
pub(crate) mod tally;
pub(crate) mod update;
pub(crate) mod uploads;
pub(crate) mod versions;
