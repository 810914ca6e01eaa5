//! What a tenant may ask of the store, and how much of it may be its.

use super::invalid::Invalid;

/// Slowest transfer that may be asked for, in bytes per second: below it a body would count as stalled.
pub const TRANSFER_BYTES_MIN: u64 = 64 << 10;

/// What a tenant may take up. `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests begun per second. A second's worth may come at once.
    pub requests_per_second: Option<u64>,
    /// Requests under way at the same time, until the last byte of their answers.
    pub concurrent_requests: Option<u64>,
    /// Bytes of request bodies per second.
    pub upload_bytes_per_second: Option<u64>,
    /// Bytes of answers' bodies per second.
    pub download_bytes_per_second: Option<u64>,
    /// What it may keep, in the whole store.
    pub quota: Quota,
}

impl Limits {
    /// What one of `servers` servers lets pass, so that all of them together let pass what is allowed: an equal share of the
    /// rates and of the requests under way, rounded up. The quota is of the whole store, and is no server's.
    #[must_use]
    pub fn share(self, servers: u32) -> Self {
        let part = |limit: u64| limit.div_ceil(u64::from(servers.max(1)));
        // Slower, a client would count as stalled.
        let transfer = |limit: u64| part(limit).max(TRANSFER_BYTES_MIN.min(limit));
        Self {
            requests_per_second: self.requests_per_second.map(part),
            concurrent_requests: self.concurrent_requests.map(part),
            upload_bytes_per_second: self.upload_bytes_per_second.map(transfer),
            download_bytes_per_second: self.download_bytes_per_second.map(transfer),
            quota: self.quota,
        }
    }
}

/// How much a tenant may keep. `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Logical bytes: of every version, as clients count them, and of the parts of open uploads.
    pub bytes: Option<u64>,
    /// Objects: versions and delete markers.
    pub objects: Option<u64>,
}

/// What a tenant keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Logical bytes, those of parts of open uploads included.
    pub bytes: u64,
    /// Objects, delete markers included.
    pub objects: u64,
}

impl Holdings {
    /// What counts in a part of the quota.
    pub fn of(&self, part: QuotaPart) -> u64 {
        match part {
            QuotaPart::Bytes => self.bytes,
            QuotaPart::Objects => self.objects,
        }
    }

    /// Once `replaced` made way for one object of `size` bytes.
    #[must_use]
    pub fn exchanged(self, size: u64, replaced: Option<u64>) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(replaced.unwrap_or(0)).saturating_add(size),
            objects: self.objects.saturating_add(u64::from(replaced.is_none())),
        }
    }
}

/// What stays where a moved object was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// Nothing.
    Gone,
    /// A delete marker and the versions behind it; it freed so many bytes, or nothing.
    Hidden(Option<u64>),
}

/// Which part of a quota does not suffice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaPart {
    /// [`Quota::bytes`].
    Bytes,
    /// [`Quota::objects`].
    Objects,
}

impl QuotaPart {
    /// Both parts.
    pub const ALL: [Self; 2] = [Self::Bytes, Self::Objects];

    /// Its name in messages and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Objects => "objects",
        }
    }
}

impl Quota {
    /// What is allowed of a part; `None` is no limit.
    pub fn of(&self, part: QuotaPart) -> Option<u64> {
        match part {
            QuotaPart::Bytes => self.bytes,
            QuotaPart::Objects => self.objects,
        }
    }

    /// How much of a part is used: 1 is all of it, 0 where it has no limit. With nothing allowed, all of it is used.
    #[allow(clippy::cast_precision_loss)] // a share of amounts: the last digits do not matter
    pub fn share_used(&self, part: QuotaPart, held: Holdings) -> f64 {
        match self.of(part) {
            None => 0.0,
            Some(0) => 1.0,
            Some(allowed) => held.of(part) as f64 / allowed as f64,
        }
    }

    /// Whether there is none.
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }

    /// What is held once `replaced` made way for one object of `size` bytes; an error if that is more than
    /// allowed. A tenant over its quota, because that was lowered, may still replace what does not grow.
    pub fn admit(&self, held: Holdings, size: u64, replaced: Option<u64>) -> Result<Holdings, QuotaPart> {
        self.allow(held, held.exchanged(size, replaced))
    }

    /// What is held once a part of `size` bytes is there instead of one of `replaced`, or of none.
    pub fn admit_part(&self, held: Holdings, size: u64, replaced: u64) -> Result<Holdings, QuotaPart> {
        self.allow(held, Holdings { objects: held.objects, ..held.exchanged(size, Some(replaced)) })
    }

    /// What is held once the parts of an upload, of `parts` bytes together, became an object of `size` bytes.
    pub fn admit_completion(
        &self,
        held: Holdings,
        parts: u64,
        size: u64,
        replaced: Option<u64>,
    ) -> Result<Holdings, QuotaPart> {
        let freed = Holdings { bytes: held.bytes.saturating_sub(parts), ..held };
        self.allow(held, freed.exchanged(size, replaced))
    }

    /// What is held once an object of `size` bytes was moved to where `replaced` made way for it. `leaves` says what stays
    /// at its source, if that is the same tenant's. Where nothing stays, a rename needs no room.
    pub fn admit_move(
        &self,
        held: Holdings,
        size: u64,
        replaced: Option<u64>,
        leaves: Option<Departure>,
    ) -> Result<Holdings, QuotaPart> {
        let arrived = held.exchanged(size, replaced);
        let after = match leaves {
            None => arrived,
            Some(Departure::Gone) => Holdings {
                bytes: arrived.bytes.saturating_sub(size),
                objects: arrived.objects.saturating_sub(1),
            },
            Some(Departure::Hidden(freed)) => arrived.exchanged(0, freed),
        };
        self.allow(held, after)
    }

    /// `after`, unless it is more than what is held now and more than allowed.
    fn allow(&self, held: Holdings, after: Holdings) -> Result<Holdings, QuotaPart> {
        if after.bytes > held.bytes && self.bytes.is_some_and(|limit| after.bytes > limit) {
            return Err(QuotaPart::Bytes);
        }
        if after.objects > held.objects && self.objects.is_some_and(|limit| after.objects > limit) {
            return Err(QuotaPart::Objects);
        }
        Ok(after)
    }
}

/// What is said about one limit of one tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitSetting {
    /// Nothing: the default counts.
    #[default]
    Default,
    /// That there is no limit.
    Unlimited,
    /// The limit.
    At(u64),
}

impl LimitSetting {
    /// What counts, where `default` is the default.
    pub fn over(self, default: Option<u64>) -> Option<u64> {
        match self {
            Self::Default => default,
            Self::Unlimited => None,
            Self::At(limit) => Some(limit),
        }
    }
}

/// What is said about one tenant's limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// See [`Limits::requests_per_second`].
    pub requests_per_second: LimitSetting,
    /// See [`Limits::concurrent_requests`].
    pub concurrent_requests: LimitSetting,
    /// See [`Limits::upload_bytes_per_second`].
    pub upload_bytes_per_second: LimitSetting,
    /// See [`Limits::download_bytes_per_second`].
    pub download_bytes_per_second: LimitSetting,
    /// See [`Quota::bytes`].
    pub quota_bytes: LimitSetting,
    /// See [`Quota::objects`].
    pub quota_objects: LimitSetting,
}

impl Overrides {
    /// What counts, where `defaults` are the defaults.
    pub fn over(&self, defaults: &Limits) -> Limits {
        Limits {
            requests_per_second: self.requests_per_second.over(defaults.requests_per_second),
            concurrent_requests: self.concurrent_requests.over(defaults.concurrent_requests),
            upload_bytes_per_second: self.upload_bytes_per_second.over(defaults.upload_bytes_per_second),
            download_bytes_per_second: self
                .download_bytes_per_second
                .over(defaults.download_bytes_per_second),
            quota: Quota {
                bytes: self.quota_bytes.over(defaults.quota.bytes),
                objects: self.quota_objects.over(defaults.quota.objects),
            },
        }
    }
}

impl Limits {
    /// Refuses limits that cannot be met.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.requests_per_second == Some(0) {
            return Err(Invalid::new("requests_per_second", "must be at least 1"));
        }
        if self.concurrent_requests == Some(0) {
            return Err(Invalid::new("concurrent_requests", "must be at least 1"));
        }
        for (field, limit) in [
            ("upload_bytes_per_second", self.upload_bytes_per_second),
            ("download_bytes_per_second", self.download_bytes_per_second),
        ] {
            if limit.is_some_and(|limit| limit < TRANSFER_BYTES_MIN) {
                return Err(Invalid::new(field, "must be at least 64 KiB"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_share_rates_and_no_quota() {
        let limits = Limits {
            requests_per_second: Some(100),
            concurrent_requests: Some(1),
            upload_bytes_per_second: Some(3 << 20),
            download_bytes_per_second: Some(TRANSFER_BYTES_MIN),
            quota: Quota { bytes: Some(7), objects: None },
        };
        assert_eq!(limits.share(1), limits);
        assert_eq!(limits.share(0), limits, "before the first count");
        let third = limits.share(3);
        assert_eq!((third.requests_per_second, third.concurrent_requests), (Some(34), Some(1)));
        assert_eq!(third.upload_bytes_per_second, Some(1 << 20));
        assert_eq!(third.download_bytes_per_second, Some(TRANSFER_BYTES_MIN), "not so slow that it stalls");
        assert_eq!(third.quota, limits.quota);
        assert_eq!(Limits::default().share(3), Limits::default());
    }

    #[test]
    fn a_quota_counts_what_goes_too() {
        let quota = Quota { bytes: Some(100), objects: Some(2) };
        let held = Holdings { bytes: 60, objects: 1 };
        assert_eq!(quota.admit(held, 40, None), Ok(Holdings { bytes: 100, objects: 2 }));
        assert_eq!(quota.admit(held, 41, None), Err(QuotaPart::Bytes));
        assert_eq!(quota.admit(held, 100, Some(60)), Ok(Holdings { bytes: 100, objects: 1 }));
        let full = Holdings { bytes: 10, objects: 2 };
        assert_eq!(quota.admit(full, 0, None), Err(QuotaPart::Objects));
        assert_eq!(quota.admit(full, 20, Some(5)), Ok(Holdings { bytes: 25, objects: 2 }));
        // The quota was lowered below what is held.
        let over = Holdings { bytes: 500, objects: 9 };
        assert_eq!(quota.admit(over, 5, Some(5)), Ok(over));
        assert_eq!(quota.admit(over, 6, Some(5)), Err(QuotaPart::Bytes));
        assert!(Quota::default().admit(over, u64::MAX, None).is_ok());
    }

    #[test]
    fn parts_count_until_they_are_an_object() {
        let quota = Quota { bytes: Some(100), objects: Some(2) };
        let held = Holdings { bytes: 60, objects: 2 };
        assert_eq!(quota.admit_part(held, 40, 0), Ok(Holdings { bytes: 100, objects: 2 }));
        assert_eq!(quota.admit_part(held, 41, 0), Err(QuotaPart::Bytes));
        assert_eq!(quota.admit_part(held, 41, 1), Ok(Holdings { bytes: 100, objects: 2 }));
        let full = Holdings { bytes: 100, objects: 1 };
        assert_eq!(quota.admit_completion(full, 40, 40, None), Ok(Holdings { bytes: 100, objects: 2 }));
        assert_eq!(quota.admit_completion(full, 40, 30, Some(5)), Ok(Holdings { bytes: 85, objects: 1 }));
        assert_eq!(quota.admit_completion(held, 40, 40, None), Err(QuotaPart::Objects));
    }

    #[test]
    fn what_is_said_of_a_tenant_counts_before_the_default() {
        let defaults =
            Limits { requests_per_second: Some(5), concurrent_requests: Some(7), ..Limits::default() };
        let said = Overrides {
            requests_per_second: LimitSetting::Unlimited,
            quota_objects: LimitSetting::At(0),
            ..Overrides::default()
        };
        let limits = said.over(&defaults);
        assert_eq!((limits.requests_per_second, limits.concurrent_requests), (None, Some(7)));
        assert_eq!(limits.quota, Quota { bytes: None, objects: Some(0) });
    }
}
