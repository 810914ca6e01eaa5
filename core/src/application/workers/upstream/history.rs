//! Where both sides keep versions and everything goes to both, a comparison goes on with the versions of every key, in their order:
//! no listing of keys shows what is behind the latest, nor a key whose latest version is a delete marker.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Bound;

use futures::StreamExt as _;
use serde::{Deserialize, Serialize};

use super::step::{Finding, NAMED_MAX, PAGE, PassStep, away, name};
use crate::application::ports::metadata::ListQuery;
use crate::application::ports::upstream::{UpstreamError, VersionsAfter, VersionsQuery};
use crate::domain::address::Key;
use crate::domain::mirror::history::{Agreement, compare};
use crate::domain::mirror::versions::Listed;
use crate::domain::object::Object;
use crate::domain::space::Versioning;
use crate::domain::upstream::Mode;

/// Versions of one key that are compared, at most.
const VERSIONS_MAX: usize = 10_000;

/// Versions that a look at one key alone shows.
const SHOWN: usize = 1000;

/// Looks at one key, at most: who changes it all the time is not waited for.
const LOOKS_MAX: u32 = 5;

/// Keys that are looked at again at the same time.
const CONCURRENT: usize = 16;

/// Pages that are asked for until a key is whole.
const PAGES_MAX: u32 = 1000;

/// What a comparison of versions has found so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Report {
    /// Keys whose versions are upstream as they are here, and how many versions and delete markers they have here.
    keys: u64,
    versions: u64,
    /// Keys of which that is not so.
    differ: u64,
    /// Versions and delete markers that only the upstream has, older than all that is here.
    only_upstream: u64,
    /// Delete markers that the upstream does not make, since they hide nothing there.
    needless_markers: u64,
    /// Keys that wait to be sent.
    waiting: u64,
}

/// Whether versions are compared.
pub(super) async fn are_compared(step: &PassStep<'_>) -> Result<bool, UpstreamError> {
    let kept_here = step.space.versioning != Versioning::Off;
    Ok(step.binding.mode == Mode::Mirror && kept_here && step.link.keeps_versions().await?)
}

/// What a page came to.
pub(super) struct Paged {
    /// The last key of it; `None` if nothing follows.
    pub(super) end: Option<String>,
    pub(super) items: u64,
    pub(super) requests: u64,
}

/// Versions by their keys, the newest first.
struct Histories<L> {
    of_key: BTreeMap<String, Vec<L>>,
    /// They are known up to this key; `None` if they are known to the end.
    end: Option<String>,
    requests: u64,
}

/// Entity tag and size; `None` of a delete marker.
type Own = Option<(String, u64)>;

fn own(object: &Object) -> Own {
    (!object.is_delete_marker()).then(|| (object.etag.as_str().to_owned(), object.size()))
}

/// Compares the versions of the keys of one page behind `after`.
pub(super) async fn page(
    step: &PassStep<'_>,
    after: Option<String>,
    report: &mut Report,
    (found, findings): (&mut u64, &mut Vec<Finding>),
) -> Result<Paged, UpstreamError> {
    let (there, here) = (there(step, after.clone()).await?, here(step, after).await?);
    let end = [there.end, here.end].into_iter().flatten().min();
    let is_within = |key: &str| end.as_ref().is_none_or(|end| key <= end.as_str());
    let keys: BTreeSet<&String> = there.of_key.keys().chain(here.of_key.keys()).collect();
    let keys: Vec<Key> =
        keys.into_iter().filter(|key| is_within(key)).filter_map(|key| Key::new(key).ok()).collect();
    let waiting = step.store.metadata.mirror_waiting(step.space.id, &keys).await.map_err(away)?;
    let waiting: HashSet<Key> = waiting.into_iter().collect();
    let (mut doubtful, mut verdicts) = (Vec::new(), Vec::new());
    for key in &keys {
        let mine = here.of_key.get(key.as_str()).map(Vec::as_slice).unwrap_or_default();
        let theirs = there.of_key.get(key.as_str()).map(Vec::as_slice).unwrap_or_default();
        if waiting.contains(key) {
            report.waiting += 1;
            continue;
        }
        match judged(mine, theirs) {
            Ok(agreement) => verdicts.push((key, Look::Is(mine.len() as u64, Ok(agreement)))),
            Err(why) => doubtful.push((key, mine.len() as u64, why)),
        }
    }
    // Somebody may have changed a key between the looks at both sides: those that count are looked at again by themselves.
    let left = NAMED_MAX.saturating_sub(usize::try_from(*found).unwrap_or(usize::MAX));
    let again: Vec<Key> = doubtful.iter().take(left).map(|(key, ..)| (*key).clone()).collect();
    let looks = futures::stream::iter(again).map(|key| async move { look(step, &key).await });
    let looks = looks.buffered(CONCURRENT);
    let looks: Vec<Result<(Look, u64), UpstreamError>> = looks.collect().await;
    let mut requests = there.requests;
    let mut looks = looks.into_iter();
    for (key, mine, why) in doubtful {
        let look = match looks.next().transpose()? {
            Some((look, asked)) => {
                requests += asked;
                look
            }
            None => Look::Is(mine, Err(why)),
        };
        verdicts.push((key, look));
    }
    for (key, look) in verdicts {
        match look {
            Look::Waits => report.waiting += 1,
            Look::Is(versions, Ok(Agreement { older, needless })) => {
                report.keys += u64::from(versions > 0);
                report.versions += versions;
                report.only_upstream += older;
                report.needless_markers += needless;
            }
            Look::Is(_, Err(why)) => {
                report.differ += 1;
                *found += 1;
                name(findings, key.as_str(), "versions_differ", why);
            }
        }
    }
    Ok(Paged { end, items: keys.len() as u64, requests })
}

/// What a look at a key came to.
enum Look {
    /// So many versions are here, and how they compare.
    Is(u64, Result<Agreement, &'static str>),
    /// It waits to be sent, or is changed again and again.
    Waits,
}

fn judged(mine: &[Own], theirs: &[Listed]) -> Result<Agreement, &'static str> {
    if mine.len() >= VERSIONS_MAX || theirs.len() >= VERSIONS_MAX {
        return Err("it has too many versions to be compared");
    }
    let mine: Vec<_> =
        mine.iter().map(|own| own.as_ref().map(|(etag, size)| (etag.as_str(), *size))).collect();
    compare(&mine, theirs)
}

/// Looks at one key by itself; and how many requests that took.
async fn look(step: &PassStep<'_>, key: &Key) -> Result<(Look, u64), UpstreamError> {
    let metadata = &step.store.metadata;
    for looks in 1..=LOOKS_MAX {
        // In this order: what is here and does not wait had reached the upstream by the time that is asked.
        let mine = all(step, key).await?;
        let waiting = metadata.mirror_waiting(step.space.id, std::slice::from_ref(key)).await;
        if !waiting.map_err(away)?.is_empty() {
            return Ok((Look::Waits, u64::from(looks - 1)));
        }
        let theirs = step.link.versions(key).await?;
        if all(step, key).await? == mine {
            // Of more than are shown, the newest.
            let shown = if theirs.len() >= SHOWN { mine.len().min(SHOWN) } else { mine.len() };
            return Ok((Look::Is(mine.len() as u64, judged(&mine[..shown], &theirs)), u64::from(looks)));
        }
    }
    Ok((Look::Waits, u64::from(LOOKS_MAX)))
}

/// All versions of a key that are here, the newest first.
async fn all(step: &PassStep<'_>, key: &Key) -> Result<Vec<Own>, UpstreamError> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = step.store.metadata.versions_after(step.space.id, key, after, PAGE).await.map_err(away)?;
        after = page.last().map(|found| found.object.id);
        let is_last = page.len() < PAGE as usize;
        all.extend(page.iter().map(|found| own(&found.object)));
        if is_last || all.len() >= VERSIONS_MAX {
            all.reverse();
            return Ok(all);
        }
    }
}

/// What the upstream lists behind a key, as far as keys are whole.
async fn there(step: &PassStep<'_>, after: Option<String>) -> Result<Histories<Listed>, UpstreamError> {
    let after = after.map_or(VersionsAfter::Nothing, VersionsAfter::Key);
    let mut query = VersionsQuery { after, limit: PAGE };
    let (mut of_key, mut requests) = (BTreeMap::<String, Vec<Listed>>::new(), 0);
    for _ in 0..PAGES_MAX {
        let page = step.link.list_versions(&query).await?;
        requests += 1;
        for (key, listed) in page.lines {
            of_key.entry(key).or_default().push(listed);
        }
        let goes_on = match &page.next {
            VersionsAfter::Nothing => return Ok(Histories { of_key, end: None, requests }),
            VersionsAfter::Key(_) => None,
            VersionsAfter::Version(key, _) => Some(key.clone()),
        };
        let is_long = |key: &String| of_key.get(key).is_some_and(|versions| versions.len() >= VERSIONS_MAX);
        if let Some(key) = goes_on
            && !is_long(&key)
        {
            // Its versions go on behind the page; those before it are whole.
            if of_key.keys().any(|other| *other != key) {
                of_key.remove(&key);
            } else {
                query.after = page.next;
                continue;
            }
        }
        if let Some(end) = of_key.keys().next_back().cloned() {
            return Ok(Histories { of_key, end: Some(end), requests });
        }
        query.after = page.next;
    }
    Err(UpstreamError::Unusable("its listing of versions never gets anywhere".to_owned()))
}

/// What is here behind a key, as far as keys are whole.
async fn here(step: &PassStep<'_>, after: Option<String>) -> Result<Histories<Own>, UpstreamError> {
    let query = ListQuery {
        space: step.space.id,
        prefix: String::new(),
        from: after.map_or(Bound::Unbounded, Bound::Excluded),
        from_version: None,
        versions: true,
        versioned: true,
        keyless: false,
        limit: PAGE,
    };
    let page = step.store.metadata.list(&query).await.map_err(away)?;
    let is_cut = page.len() >= PAGE as usize;
    let mut of_key = BTreeMap::<String, Vec<Own>>::new();
    for object in &page {
        let Some(key) = &object.key else { continue };
        of_key.entry(key.as_str().to_owned()).or_default().push(own(object));
    }
    let Some((last, _)) = of_key.last_key_value().filter(|_| is_cut) else {
        return Ok(Histories { of_key, end: None, requests: 0 });
    };
    let last = last.clone();
    if of_key.len() > 1 {
        of_key.remove(&last);
    } else if let Ok(key) = Key::new(&last) {
        of_key.insert(last, all(step, &key).await?);
    }
    let end = of_key.keys().next_back().cloned();
    Ok(Histories { of_key, end, requests: 0 })
}
