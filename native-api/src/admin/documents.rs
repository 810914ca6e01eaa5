//! The settings of a space, as JSON.

use juststorage_core::domain::cors::{CorsConfig, CorsRule};
use juststorage_core::domain::event::{Arn, EventName, NotificationRule, Notifications};
use juststorage_core::domain::invalid::Invalid;
use juststorage_core::domain::lifecycle::{
    Due, Expiration, Filter, Lifecycle, NoncurrentExpiration, NoncurrentTransition, Rule, Transition,
};
use juststorage_core::domain::object::Tags;
use juststorage_core::domain::object_lock::{DefaultRetention, LockConfig, LockMode, Period};
use juststorage_core::domain::settings::PublicAccess;
use juststorage_core::domain::space::Versioning;
use juststorage_core::domain::storage_class::StorageClass;
use juststorage_core::domain::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::extract::moment;
use crate::render;

/// S3's names of the cold tier. The first is that of a move which names none: objects may move at once to that one.
const COLD_CLASSES: [&str; 2] = ["GLACIER_IR", "STANDARD_IA"];

/// Whether keys keep versions.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersioningBody {
    /// `enabled` or `suspended`; `off` where versions were never kept, and as good as `suspended` where they were.
    #[schema(pattern = "^(off|enabled|suspended)$")]
    status: String,
}

impl VersioningBody {
    pub(super) fn name(versioning: Versioning) -> &'static str {
        match versioning {
            Versioning::Off => "off",
            Versioning::Enabled => "enabled",
            Versioning::Suspended => "suspended",
        }
    }

    pub(super) fn of(versioning: Versioning) -> Self {
        Self { status: Self::name(versioning).to_owned() }
    }

    pub(super) fn read(&self) -> Result<Versioning, Invalid> {
        [Versioning::Off, Versioning::Enabled, Versioning::Suspended]
            .into_iter()
            .find(|versioning| Self::name(*versioning) == self.status)
            .ok_or_else(|| Invalid::new("status", "must be off, enabled or suspended"))
    }
}

/// The class of an object whose writer names none.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClassBody {
    /// `hot` or `cold`.
    #[schema(pattern = "^(hot|cold)$")]
    class: String,
}

impl ClassBody {
    pub(super) fn of(class: StorageClass) -> Self {
        Self { class: class.as_str().to_owned() }
    }

    pub(super) fn read(&self) -> Result<StorageClass, Invalid> {
        [StorageClass::Hot, StorageClass::Cold]
            .into_iter()
            .find(|class| class.as_str() == self.class)
            .ok_or_else(|| Invalid::new("class", "must be hot or cold"))
    }
}

/// Which origins may ask, the first rule that fits deciding.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CorsBody {
    /// 1 to 100 rules.
    rules: Vec<CorsRuleBody>,
}

/// A rule of CORS.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CorsRuleBody {
    /// For people.
    #[schema(required)]
    id: Option<String>,
    /// Origins, each with at most one `*`.
    origins: Vec<String>,
    /// Methods in upper case.
    methods: Vec<String>,
    /// Request headers, each with at most one `*`.
    #[serde(default)]
    headers: Vec<String>,
    /// Response headers that scripts may read.
    #[serde(default)]
    expose: Vec<String>,
    /// For how many seconds a browser may remember a preflight's answer.
    #[schema(required)]
    max_age_seconds: Option<u32>,
}

impl CorsBody {
    pub(super) fn of(cors: &CorsConfig) -> Self {
        let rule = |rule: &CorsRule| CorsRuleBody {
            id: rule.id.clone(),
            origins: rule.origins.clone(),
            methods: rule.methods.clone(),
            headers: rule.headers.clone(),
            expose: rule.expose.clone(),
            max_age_seconds: rule.max_age_seconds,
        };
        Self { rules: cors.rules.iter().map(rule).collect() }
    }

    pub(super) fn read(self) -> CorsConfig {
        let rule = |rule: CorsRuleBody| CorsRule {
            id: rule.id,
            origins: rule.origins,
            methods: rule.methods,
            headers: rule.headers,
            expose: rule.expose,
            max_age_seconds: rule.max_age_seconds,
        };
        CorsConfig { rules: self.rules.into_iter().map(rule).collect() }
    }
}

/// Which changes are told to which event targets.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NotificationsBody {
    /// Up to 100 rules.
    rules: Vec<NotificationRuleBody>,
}

/// A rule of event notifications.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NotificationRuleBody {
    /// Its name, unique in the space; told with each event.
    id: String,
    /// The target, `arn:juststorage:sqs::NAME:webhook`.
    arn: String,
    /// Events as S3 names them, such as `s3:ObjectCreated:*`.
    events: Vec<String>,
    /// Only of keys that begin so.
    #[serde(default)]
    #[schema(required)]
    prefix: Option<String>,
    /// Only of keys that end so.
    #[serde(default)]
    #[schema(required)]
    suffix: Option<String>,
}

impl NotificationsBody {
    pub(super) fn of(notifications: &Notifications) -> Self {
        let rule = |rule: &NotificationRule| NotificationRuleBody {
            id: rule.id.clone(),
            arn: rule.arn().to_string(),
            events: rule.events.iter().map(|name| name.as_str().to_owned()).collect(),
            prefix: rule.prefix.clone(),
            suffix: rule.suffix.clone(),
        };
        Self { rules: notifications.rules.iter().map(rule).collect() }
    }

    pub(super) fn read(self) -> Result<Notifications, Invalid> {
        let rule = |rule: NotificationRuleBody| {
            let arn = Arn::parse(&rule.arn)?;
            let events = rule.events.iter().map(|name| EventName::parse(name)).collect::<Result<_, _>>()?;
            let NotificationRuleBody { id, prefix, suffix, .. } = rule;
            Ok::<_, Invalid>(NotificationRule {
                id,
                target: arn.target,
                kind: arn.kind,
                events,
                prefix,
                suffix,
            })
        };
        Ok(Notifications { bucket: None, rules: self.rules.into_iter().map(rule).collect::<Result<_, _>>()? })
    }
}

/// The public access block.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools)] // S3's own four
pub(crate) struct PublicAccessBody {
    /// Requests that set a public ACL are refused.
    block_public_acls: bool,
    /// Public ACLs do not count.
    ignore_public_acls: bool,
    /// Public policies are refused.
    block_public_policy: bool,
    /// Public policies do not count.
    restrict_public_buckets: bool,
}

impl PublicAccessBody {
    pub(super) fn of(access: PublicAccess) -> Self {
        Self {
            block_public_acls: access.block_public_acls,
            ignore_public_acls: access.ignore_public_acls,
            block_public_policy: access.block_public_policy,
            restrict_public_buckets: access.restrict_public_buckets,
        }
    }

    pub(super) fn read(&self) -> PublicAccess {
        PublicAccess {
            block_public_acls: self.block_public_acls,
            ignore_public_acls: self.ignore_public_acls,
            block_public_policy: self.block_public_policy,
            restrict_public_buckets: self.restrict_public_buckets,
        }
    }
}

/// That versions can be locked, and what new ones get.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LockBody {
    /// The retention of versions whose writer names none.
    #[schema(required)]
    default: Option<RetentionBody>,
}

/// A default retention: either `days` or `years`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetentionBody {
    /// `governance` or `compliance`.
    #[schema(pattern = "^(governance|compliance)$")]
    mode: String,
    /// 1 to 36500 days of 24 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    days: Option<u32>,
    /// 1 to 100 years of 365 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    years: Option<u32>,
}

impl LockBody {
    pub(super) fn of(lock: &LockConfig) -> Self {
        let retention = |retention: &DefaultRetention| {
            let mode = retention.mode.as_str();
            let (days, years) = match retention.period {
                Period::Days(days) => (Some(days), None),
                Period::Years(years) => (None, Some(years)),
            };
            RetentionBody { mode: mode.to_owned(), days, years }
        };
        Self { default: lock.default_retention.as_ref().map(retention) }
    }

    pub(super) fn read(&self) -> Result<LockConfig, Invalid> {
        let retention = |body: &RetentionBody| {
            let mode = LockMode::parse(&body.mode)?;
            let period = match (body.days, body.years) {
                (Some(days), None) => Period::Days(days),
                (None, Some(years)) => Period::Years(years),
                _ => return Err(Invalid::new("days", "must be given, or years, and not both")),
            };
            DefaultRetention::new(mode, period)
        };
        Ok(LockConfig { default_retention: self.default.as_ref().map(retention).transpose()? })
    }
}

/// Which objects expire or move to the cold tier, and when.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LifecycleBody {
    /// At most 1000 rules.
    rules: Vec<RuleBody>,
    /// Whether objects of less than 128 KiB move too.
    #[serde(default)]
    small_objects_move: bool,
}

/// A rule; it does at least one thing.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleBody {
    /// Unique among the rules, 1 to 255 characters.
    id: String,
    /// Whether it is in force.
    #[serde(default = "yes")]
    enabled: bool,
    /// The objects that it applies to.
    #[serde(default)]
    filter: FilterBody,
    /// When current versions go.
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration: Option<ExpirationBody>,
    /// When versions that others replaced go.
    #[serde(skip_serializing_if = "Option::is_none")]
    noncurrent_expiration: Option<NoncurrentBody>,
    /// When current versions move to the cold tier.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    transitions: Vec<TransitionBody>,
    /// When versions that others replaced move to the cold tier.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    noncurrent_transitions: Vec<NoncurrentTransitionBody>,
    /// After how many days an upload that was not completed is aborted.
    #[serde(skip_serializing_if = "Option::is_none")]
    abort_uploads_days: Option<u32>,
}

fn yes() -> bool {
    true
}

/// All conditions must hold; without any the rule applies to every object.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FilterBody {
    /// The prefix of keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    /// Tags that objects have, others beside.
    #[serde(skip_serializing_if = "Tags::is_empty")]
    #[schema(value_type = BTreeMap<String, String>)]
    tags: Tags,
    /// Objects have more bytes than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    larger_than: Option<u64>,
    /// Objects have fewer bytes than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    smaller_than: Option<u64>,
    /// Whether S3 clients read the prefix in the old form, outside of a filter, as it was set.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    old_form: bool,
}

/// When current versions go: one of the three.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ExpirationBody {
    /// So many days after they were written.
    Days(u32),
    /// All of them, from this midnight (UTC) on.
    Date(String),
    /// Delete markers that are all there is of their key.
    DeleteMarkers(bool),
}

/// When current versions move: `days` or `date`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TransitionBody {
    /// So many days after they were written.
    #[serde(skip_serializing_if = "Option::is_none")]
    days: Option<u32>,
    /// From this midnight (UTC) on.
    #[serde(skip_serializing_if = "Option::is_none")]
    date: Option<String>,
    /// S3's name of the class; absent: `GLACIER_IR`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^(GLACIER_IR|STANDARD_IA)$")]
    s3_class: Option<String>,
}

/// When versions that others replaced move.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoncurrentTransitionBody {
    /// So many days after a version was replaced.
    days: u32,
    /// But never the newest so many of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_newest: Option<u32>,
    /// S3's name of the class; absent: `GLACIER_IR`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^(GLACIER_IR|STANDARD_IA)$")]
    s3_class: Option<String>,
}

/// A class name as it is shown: not at all where it is that of a move which names none.
fn shown_class(name: &str) -> Option<String> {
    (name != COLD_CLASSES[0]).then(|| name.to_owned())
}

fn read_class(name: Option<&str>) -> Result<String, Invalid> {
    let known = COLD_CLASSES.into_iter().find(|known| name.is_none_or(|name| name == *known));
    known.map(str::to_owned).ok_or_else(|| Invalid::new("s3_class", "must be GLACIER_IR or STANDARD_IA"))
}

/// So many days after a version was replaced.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoncurrentBody {
    /// Days.
    days: u32,
    /// But never the newest so many of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_newest: Option<u32>,
}

fn date(text: &str) -> Result<Timestamp, Invalid> {
    moment("lifecycle", text)
}

impl LifecycleBody {
    pub(super) fn of(lifecycle: &Lifecycle) -> Self {
        let rules = lifecycle.rules.iter().map(RuleBody::of).collect();
        Self { rules, small_objects_move: lifecycle.small_objects_move }
    }

    pub(super) fn read(self) -> Result<Lifecycle, Invalid> {
        let rules = self.rules.into_iter().map(RuleBody::read).collect::<Result<_, _>>()?;
        Ok(Lifecycle { rules, small_objects_move: self.small_objects_move })
    }
}

impl RuleBody {
    fn of(rule: &Rule) -> Self {
        let transition = |transition: &Transition| {
            let (days, date) = match transition.due {
                Due::Days(days) => (Some(days), None),
                Due::Date(date) => (None, Some(render::rfc3339(date))),
            };
            TransitionBody { days, date, s3_class: shown_class(&transition.class_name) }
        };
        let noncurrent = |transition: &NoncurrentTransition| NoncurrentTransitionBody {
            days: transition.days,
            keep_newest: transition.keep_newest,
            s3_class: shown_class(&transition.class_name),
        };
        Self {
            id: rule.id.clone(),
            enabled: rule.enabled,
            filter: FilterBody {
                prefix: rule.filter.prefix.clone(),
                tags: rule.filter.tags.clone(),
                larger_than: rule.filter.larger_than,
                smaller_than: rule.filter.smaller_than,
                old_form: rule.filter.legacy,
            },
            expiration: rule.expiration.map(|expiration| match expiration {
                Expiration::Days(days) => ExpirationBody::Days(days),
                Expiration::Date(date) => ExpirationBody::Date(render::rfc3339(date)),
                Expiration::DeleteMarkers(on) => ExpirationBody::DeleteMarkers(on),
            }),
            noncurrent_expiration: rule.noncurrent_expiration.map(|expiration| NoncurrentBody {
                days: expiration.days,
                keep_newest: expiration.keep_newest,
            }),
            transitions: rule.transitions.iter().map(transition).collect(),
            noncurrent_transitions: rule.noncurrent_transitions.iter().map(noncurrent).collect(),
            abort_uploads_days: rule.abort_uploads_days,
        }
    }

    fn read(self) -> Result<Rule, Invalid> {
        let transition = |body: TransitionBody| {
            let due = match (body.days, body.date) {
                (Some(days), None) => Due::Days(days),
                (None, Some(text)) => Due::Date(date(&text)?),
                _ => return Err(Invalid::new("lifecycle", "a transition has either days or a date")),
            };
            Ok(Transition { due, class_name: read_class(body.s3_class.as_deref())? })
        };
        let noncurrent = |body: NoncurrentTransitionBody| {
            let class_name = read_class(body.s3_class.as_deref())?;
            Ok(NoncurrentTransition { days: body.days, keep_newest: body.keep_newest, class_name })
        };
        let expiration = |body: ExpirationBody| {
            Ok(match body {
                ExpirationBody::Days(days) => Expiration::Days(days),
                ExpirationBody::Date(text) => Expiration::Date(date(&text)?),
                ExpirationBody::DeleteMarkers(on) => Expiration::DeleteMarkers(on),
            })
        };
        Ok(Rule {
            id: self.id,
            enabled: self.enabled,
            filter: Filter {
                legacy: self.filter.old_form,
                prefix: self.filter.prefix,
                tags: self.filter.tags,
                larger_than: self.filter.larger_than,
                smaller_than: self.filter.smaller_than,
            },
            expiration: self.expiration.map(expiration).transpose()?,
            noncurrent_expiration: self
                .noncurrent_expiration
                .map(|body| NoncurrentExpiration { days: body.days, keep_newest: body.keep_newest }),
            transitions: self.transitions.into_iter().map(transition).collect::<Result<_, _>>()?,
            noncurrent_transitions: self
                .noncurrent_transitions
                .into_iter()
                .map(noncurrent)
                .collect::<Result<_, _>>()?,
            abort_uploads_days: self.abort_uploads_days,
        })
    }
}
