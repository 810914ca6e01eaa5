//! The console under `/console/`: static files of the folder `console/`, which the binary carries.
//!
//! The files are the whole of it: no build step, nothing from another host. They run under a strict policy, because the
//! page shows names and metadata that uploaders have chosen.

use std::hash::{DefaultHasher, Hasher as _};

use axum::extract::Path;
use axum::response::{IntoResponse as _, Redirect, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, StatusCode};

use crate::problem;
use crate::render;

/// Where the console is.
pub(crate) const PREFIX: &str = "/console/";

/// The page may load and call its own origin only, and no text can become markup or script: `innerHTML` and its like
/// throw. `blob:` is for previews of images, whose bytes the page has checked.
const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; \
     object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

/// One file of the console.
struct Asset {
    /// Its path below [`PREFIX`].
    path: &'static str,
    content_type: &'static str,
    text: &'static str,
}

macro_rules! assets {
    ($($content_type:literal: $($path:literal)+;)+) => {
        &[$($(Asset {
            path: $path,
            content_type: $content_type,
            text: include_str!(concat!("../../console/", $path)),
        }),+),+]
    };
}

/// Every file.
const ASSETS: &[Asset] = assets! {
    "text/html; charset=utf-8": "index.html";
    "text/css; charset=utf-8": "style.css";
    "image/svg+xml": "icon.svg";
    "text/javascript; charset=utf-8":
        "app.js"
        "lib/api.js" "lib/chart.js" "lib/dom.js" "lib/dropped.js" "lib/format.js" "lib/shell.js" "lib/ui.js"
        "lib/uploads.js"
        "pages/access.js" "pages/audit.js" "pages/backups.js" "pages/binding.js" "pages/browse.js"
        "pages/can.js" "pages/changes.js" "pages/credential.js" "pages/home.js" "pages/leaving.js"
        "pages/lifecycle.js" "pages/limits.js" "pages/lock.js" "pages/maintenance.js" "pages/object.js"
        "pages/policies.js" "pages/preview.js" "pages/removal.js" "pages/signin.js" "pages/spaces.js"
        "pages/stuck.js" "pages/tags.js" "pages/targets.js" "pages/transfers.js" "pages/upstreams.js"
        "pages/versions.js";
};

/// `GET /` and `GET /console`: a browser that opens the address gets the page.
pub(crate) async fn enter() -> Redirect {
    Redirect::to(PREFIX)
}

/// `GET /console/`.
pub(crate) async fn index(headers: HeaderMap) -> Response {
    answer(&headers, "index.html").await
}

/// `GET /console/{path}`.
pub(crate) async fn file(headers: HeaderMap, Path(path): Path<String>) -> Response {
    answer(&headers, &path).await
}

async fn answer(asked: &HeaderMap, path: &str) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.path == path) else {
        return problem::unknown_path().await.into_response();
    };
    let mut headers = HeaderMap::new();
    let tag = asset.tag();
    render::put(&mut headers, ETAG, &tag);
    // The file of the next release has the same name: a browser asks each time, and mostly hears 304.
    render::put(&mut headers, CACHE_CONTROL, "no-cache");
    render::put(&mut headers, CONTENT_SECURITY_POLICY, POLICY);
    render::put(&mut headers, X_FRAME_OPTIONS, "DENY");
    render::put(&mut headers, REFERRER_POLICY, "no-referrer");
    render::put(&mut headers, HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    render::put(&mut headers, HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    let known = asked.get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    if known.is_some_and(|tags| tags.split(',').any(|known| known.trim() == tag)) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    render::put(&mut headers, CONTENT_TYPE, asset.content_type);
    (headers, asset.text).into_response()
}

impl Asset {
    /// Changes with the text; equal on every server of one build.
    fn tag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        hasher.write(self.text.as_bytes());
        format!("\"{:016x}-{:x}\"", hasher.finish(), self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn walk(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, found);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }

    #[test]
    fn every_file_of_the_folder_is_served() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../console");
        let mut there = BTreeSet::new();
        walk(&root, &root, &mut there);
        let served: BTreeSet<_> = ASSETS.iter().map(|asset| asset.path.to_owned()).collect();
        assert_eq!(there, served);
    }

    /// Nothing in the page can make markup of text, or needs another host.
    #[test]
    fn the_page_holds_to_its_own_policy() {
        for asset in ASSETS {
            for never in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
                "srcdoc",
                "DOMParser",
                "createContextualFragment",
                "javascript:",
                "style=",
                "onclick=",
                "onload=",
                "onerror=",
                "https://cdn",
            ] {
                assert!(!asset.text.contains(never), "{} contains {never}", asset.path);
            }
        }
    }
}
