//! The one place where access is decided. Deny is the default.

use crate::application::error::{Error, Result};
use crate::application::request;
use crate::domain::address::SpaceAddress;
use crate::domain::principal::{Denied, Principal, Right};

/// Lets `who` exercise `right` in `space`, or answers `hidden` if the space is out of its sight: what
/// belongs to another tenant answers exactly as what does not exist.
pub(crate) fn check(who: &Principal, right: Right, space: &SpaceAddress, hidden: Error) -> Result<()> {
    who.may(right, space).map_err(|denied| match denied {
        Denied::Invisible => {
            request::out_of_sight();
            hidden
        }
        Denied::Forbidden(right) => refuse(right),
    })
}

/// Refuses a credential that is bound to prefixes of keys what concerns spaces as a whole.
pub(crate) fn refuse_bound(who: &Principal) -> Result<()> {
    if who.prefixes.is_none() {
        return Ok(());
    }
    request::denied("prefix");
    Err(Error::OutsidePrefixes)
}

/// The answer to one who may know of the space, and lacks `right` there.
pub(crate) fn refuse(right: Right) -> Error {
    request::denied(right.as_str());
    Error::Forbidden(right)
}
