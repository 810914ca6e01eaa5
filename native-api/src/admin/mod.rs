//! The calls of administration, under `/v1/admin`. Core decides who may; these read requests and write answers.

mod backups;
mod buckets;
mod can;
mod credentials;
mod documents;
mod events;
mod limits;
mod replicas;
mod request;
pub(crate) mod spaces;
mod stuck;
mod targets;
mod traffic;
pub(crate) mod upstreams;
mod usage;
mod whoami;
mod workers;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// Every call of administration, with its documentation.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(whoami::whoami))
        .routes(routes!(can::can))
        .routes(routes!(spaces::list))
        .routes(routes!(spaces::get))
        .routes(routes!(spaces::set, spaces::remove))
        .routes(routes!(buckets::list, buckets::create))
        .routes(routes!(buckets::get, buckets::delete))
        .routes(routes!(credentials::list, credentials::create))
        .routes(routes!(credentials::get, credentials::revoke))
        .routes(routes!(credentials::rotate))
        .routes(routes!(limits::list))
        .routes(routes!(limits::get, limits::set))
        .routes(routes!(usage::usage))
        .routes(routes!(replicas::list))
        .routes(routes!(workers::list))
        .routes(routes!(workers::run))
        .routes(routes!(workers::scrub))
        .routes(routes!(stuck::list))
        .routes(routes!(stuck::retry))
        .routes(routes!(stuck::kept))
        .routes(routes!(stuck::give_up))
        .routes(routes!(backups::list, backups::begin))
        .routes(routes!(backups::end))
        .routes(routes!(backups::garbage))
        .routes(routes!(traffic::traffic))
        .routes(routes!(events::list))
        .routes(routes!(targets::list))
        .routes(routes!(targets::get, targets::put, targets::remove))
        .routes(routes!(targets::test))
        .routes(routes!(targets::replay))
        .routes(routes!(upstreams::list))
        .routes(routes!(upstreams::get, upstreams::set, upstreams::forget))
        .routes(routes!(upstreams::work))
        .routes(routes!(upstreams::clients::list))
        .routes(routes!(upstreams::report::get))
        .routes(routes!(upstreams::report::page))
        .routes(routes!(upstreams::report::keys))
}
