//! Reads a policy's document. What it says must be understood whole: anything else is refused by its name, since what
//! is skipped could be what denies. The texts are S3's, with the name of what is wrong behind them.

use super::condition::{Condition, ConditionKey, Operator};
use super::json::{Json, TWICE};
use super::principal::Named;
use super::{BYTES_MAX, Effect, Policy, Statement, Target, wildcard};
use crate::domain::action::{Action, Level};
use crate::domain::invalid::Invalid;

type Result<T> = std::result::Result<T, Invalid>;

fn refuse<T>(reason: impl Into<String>) -> Result<T> {
    Err(Invalid::new("policy", reason.into()))
}

/// A text of a document, short enough to be shown again.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

pub(super) fn policy(text: &str) -> Result<Policy> {
    if text.len() > BYTES_MAX {
        return refuse(format!("Policy exceeds the maximum allowed document size of {BYTES_MAX} bytes"));
    }
    if !text.starts_with('{') {
        return refuse("Policies must be valid JSON and the first byte must be '{'");
    }
    let document = serde_json::from_str(text).or_else(|error: serde_json::Error| {
        let why = error.to_string();
        match why.split_once(TWICE) {
            Some((_, name)) => {
                let name = name.split(" at line ").next().unwrap_or_default();
                refuse(format!("Invalid policy syntax: the element {} stands twice", shown(name)))
            }
            None => refuse("This policy contains invalid Json"),
        }
    })?;
    let Json::Object(members) = document else { return refuse("Invalid policy syntax") };
    let mut listed = None;
    for (name, value) in members {
        match name.as_str() {
            "Version" => {
                if !matches!(&value, Json::Text(version) if ["2008-10-17", "2012-10-17"].contains(&version.as_str()))
                {
                    return refuse(
                        "The policy must contain a valid version string: 2012-10-17 or 2008-10-17",
                    );
                }
            }
            "Id" => {
                word(value, "Id")?;
            }
            "Statement" => listed = Some(value),
            other => return refuse(format!("Unknown field {}", shown(other))),
        }
    }
    let listed = match listed {
        None => return refuse("Missing required field Statement"),
        Some(Json::List(list)) => list,
        Some(one @ Json::Object(_)) => vec![one],
        Some(_) => return refuse("Invalid policy syntax: Statement must be a list of statements"),
    };
    if listed.is_empty() {
        return refuse("Could not parse the policy: Statement is empty!");
    }
    let (mut statements, mut sids, mut bucket) = (Vec::with_capacity(listed.len()), Vec::new(), None);
    for value in listed {
        let (statement, sid) = self::statement(value, &mut bucket)?;
        if let Some(sid) = sid.filter(|sid| !sid.is_empty()) {
            if sids.contains(&sid) {
                return refuse(format!(
                    "Statement IDs (SID) in a single policy must be unique: {}",
                    shown(&sid)
                ));
            }
            sids.push(sid);
        }
        statements.push(statement);
    }
    let is_public = statements.iter().any(Statement::is_public);
    Ok(Policy { text: text.to_owned(), bucket: bucket.unwrap_or_default(), statements, is_public })
}

fn statement(value: Json, bucket: &mut Option<String>) -> Result<(Statement, Option<String>)> {
    let Json::Object(members) = value else {
        return refuse("Invalid policy syntax: Statement must be a list of statements");
    };
    let (mut sid, mut effect, mut who, mut actions) = (None, None, None, None);
    let (mut resources, mut conditions) = (None, Vec::new());
    for (name, value) in members {
        match name.as_str() {
            "Sid" => sid = Some(word(value, "Sid")?),
            "Effect" => {
                effect = Some(match value {
                    Json::Text(text) if text == "Allow" => Effect::Allow,
                    Json::Text(text) if text == "Deny" => Effect::Deny,
                    Json::Text(text) => return refuse(format!("Invalid effect: {}", shown(&text))),
                    _ => return refuse("Invalid effect: it must be Allow or Deny"),
                });
            }
            "Principal" => who = Some(principals(value)?),
            "Action" | "NotAction" if actions.is_some() => {
                return refuse("Invalid policy syntax: a statement has either Action or NotAction");
            }
            "Action" => actions = Some((words(value, "Action", "Policy has invalid action")?, false)),
            "NotAction" => actions = Some((words(value, "NotAction", "Policy has invalid action")?, true)),
            "Resource" => resources = Some(self::resources(value, bucket)?),
            "Condition" => conditions = self::conditions(value)?,
            "NotPrincipal" | "NotResource" => {
                return refuse(format!("{name} is not offered: name whom or what the statement is about"));
            }
            other => return refuse(format!("Unknown field {}", shown(other))),
        }
    }
    let missing = |name: &str| Invalid::new("policy", format!("Missing required field {name}"));
    let effect = effect.ok_or_else(|| missing("Effect"))?;
    let principals = who.ok_or_else(|| missing("Principal"))?;
    let (patterns, negated) = actions.ok_or_else(|| missing("Action"))?;
    let targets = resources.ok_or_else(|| missing("Resource"))?;
    let actions = self::actions(&patterns, negated, &targets)?;
    if let Some(condition) =
        conditions.iter().find(|condition| !actions.iter().any(|action| condition.key.applies_to(*action)))
    {
        return refuse(format!(
            "Conditions do not apply to combination of actions and resources in statement: {}",
            condition.key.name()
        ));
    }
    Ok((Statement { effect, principals, actions, targets, conditions }, sid))
}

/// The actions that a statement is about: those that its patterns, or all others, name, and that are done to what
/// its resources are.
fn actions(patterns: &[String], negated: bool, targets: &[Target]) -> Result<Vec<Action>> {
    const NOWHERE: &str = "Action does not apply to any resource(s) in statement";
    let fits = |action: &Action| targets.iter().any(|target| target.level() == action.level());
    let mut named = Vec::new();
    for pattern in patterns {
        let matched = matched(pattern)?;
        // Of an action that is excepted S3 asks nothing.
        if !negated && !matched.iter().any(fits) {
            return refuse(format!("{NOWHERE}: {}", shown(pattern)));
        }
        named.extend(matched);
    }
    let about: Vec<_> = Action::ALL
        .iter()
        .copied()
        .filter(|action| named.contains(action) != negated)
        .filter(|action| fits(action))
        .collect();
    if about.is_empty() { refuse(NOWHERE) } else { Ok(about) }
}

/// The actions that a pattern names, in any case. One that names none is refused: it may be misspelt, or it is not
/// offered here.
fn matched(pattern: &str) -> Result<Vec<Action>> {
    if pattern == "*" {
        return Ok(Action::ALL.to_vec());
    }
    let lower = pattern.to_ascii_lowercase();
    let name = lower.strip_prefix("s3:").unwrap_or_default();
    let fits = |action: &&Action| wildcard::matches(name, &action.name().to_ascii_lowercase());
    let matched: Vec<_> = Action::ALL.iter().filter(fits).copied().collect();
    if matched.is_empty() {
        return refuse(format!(
            "Policy has invalid action: {} is no action that is offered here",
            shown(pattern)
        ));
    }
    Ok(matched)
}

fn principals(value: Json) -> Result<Vec<Named>> {
    const INVALID: &str = "Invalid principal in policy";
    let listed = match value {
        Json::Text(text) if text == "*" => return Ok(vec![Named::Everybody]),
        Json::Object(members) => {
            let mut listed = Vec::new();
            for (kind, value) in members {
                if kind != "AWS" {
                    return refuse(format!(
                        "{INVALID}: a principal of the kind {} is not offered",
                        shown(&kind)
                    ));
                }
                listed.extend(words(value, "AWS", INVALID)?);
            }
            listed
        }
        Json::Text(text) => return refuse(format!("{INVALID}: {} must stand under AWS", shown(&text))),
        _ => return refuse(INVALID),
    };
    if listed.is_empty() {
        return refuse(INVALID);
    }
    let read = |text: String| {
        Named::parse(&text).ok_or_else(|| Invalid::new("policy", format!("{INVALID}: {}", shown(&text))))
    };
    listed.into_iter().map(read).collect()
}

fn resources(value: Json, bucket: &mut Option<String>) -> Result<Vec<Target>> {
    const INVALID: &str = "Policy has invalid resource";
    let mut targets = Vec::new();
    for text in words(value, "Resource", INVALID)? {
        no_variables(&text)?;
        let invalid = || Invalid::new("policy", format!("{INVALID}: {}", shown(&text)));
        let path = text.strip_prefix("arn:aws:s3:::").ok_or_else(invalid)?;
        let (name, key) = path.split_once('/').map_or((path, None), |(name, key)| (name, Some(key)));
        // One bucket's policy is about that bucket.
        if name.is_empty() || wildcard::has_any(name) || bucket.get_or_insert_with(|| name.to_owned()) != name
        {
            return Err(invalid());
        }
        targets.push(key.map_or(Target::Bucket, |key| Target::Objects(key.to_owned())));
    }
    Ok(targets)
}

fn conditions(value: Json) -> Result<Vec<Condition>> {
    let Json::Object(blocks) = value else {
        return refuse("Invalid policy syntax: Condition must be an object");
    };
    let mut conditions = Vec::new();
    for (name, block) in blocks {
        let Some(operator) = Operator::parse(&name) else {
            return refuse(format!("Invalid Condition type: {} is not offered", shown(&name)));
        };
        let Json::Object(keys) = block else {
            return refuse(format!("Invalid policy syntax: {name} must be an object of keys"));
        };
        if keys.is_empty() {
            return refuse(format!("Invalid policy syntax: {name} compares nothing"));
        }
        for (key_name, values) in keys {
            let Some(key) = ConditionKey::parse(&key_name) else {
                return refuse(format!(
                    "Policy has an invalid condition key: {} is not offered",
                    shown(&key_name)
                ));
            };
            if !operator.takes(&key) {
                return refuse(format!(
                    "Policy has an invalid condition: {name} does not compare {}",
                    shown(&key_name)
                ));
            }
            let mut read = Vec::new();
            for text in values_of(values, &key_name)? {
                no_variables(&text)?;
                let value = operator.value(&text).ok_or_else(|| {
                    let why = format!("Policy has an invalid condition value: {} for {name}", shown(&text));
                    Invalid::new("policy", why)
                })?;
                read.push(value);
            }
            conditions.push(Condition { operator, key, values: read });
        }
    }
    Ok(conditions)
}

/// The values of a condition's key, at least one, as texts.
fn values_of(value: Json, name: &str) -> Result<Vec<String>> {
    let list = match value {
        Json::List(list) => list,
        one => vec![one],
    };
    let read = |value: Json| match value {
        Json::Text(text) => Ok(text),
        Json::Bool(value) => Ok(value.to_string()),
        Json::Integer(value) => Ok(value.to_string()),
        _ => refuse(format!("Policy has an invalid condition value for {}", shown(name))),
    };
    let values = list.into_iter().map(read).collect::<Result<Vec<_>>>()?;
    if values.is_empty() {
        return refuse(format!("Policy has an invalid condition value for {}: there is none", shown(name)));
    }
    Ok(values)
}

/// Variables are replaced by what a request says, in documents of 2012; in those of 2008 they are plain text. They are
/// refused in both, so that none is ever taken for the other.
fn no_variables(text: &str) -> Result<()> {
    if text.contains("${") {
        return refuse(format!("Policy variables are not offered: {}", shown(text)));
    }
    Ok(())
}

fn word(value: Json, name: &str) -> Result<String> {
    match value {
        Json::Text(text) => Ok(text),
        _ => refuse(format!("Invalid policy syntax: {name} must be a text")),
    }
}

/// A text, or a list of at least one.
fn words(value: Json, name: &str, invalid: &str) -> Result<Vec<String>> {
    let list = match value {
        Json::List(list) => list,
        one => vec![one],
    };
    let words = list.into_iter().map(|value| word(value, name)).collect::<Result<Vec<_>>>()?;
    if words.is_empty() { refuse(format!("{invalid}: {name} is empty")) } else { Ok(words) }
}

impl Target {
    fn level(&self) -> Level {
        match self {
            Self::Bucket => Level::Bucket,
            Self::Objects(_) => Level::Object,
        }
    }
}
