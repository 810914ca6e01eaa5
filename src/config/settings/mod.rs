//! Settings as an operator writes them: plain text, not validated yet.
//!
//! One struct is the flags, the environment and the TOML file at once, so that a name has one meaning
//! everywhere. Its fields' comments are what `--help` prints.

mod layers;

use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;
use serde::Deserialize;

use crate::config::names;

/// Every setting, as given by flag or environment (clap lets the flag win) or by file.
///
/// Not `Debug`: it holds secrets.
// Its comments are printed as they stand: backticks around each name would only be noise in a terminal.
#[allow(clippy::doc_markdown)]
#[derive(Args, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Settings")]
pub struct Settings {
    /// Directory of all data: the embedded database, both tiers, the lock file, the master key. Created with
    /// mode 0700 if it does not exist [default: ./data]
    #[arg(long, global = true, env = names::DATA_DIR, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Where the metadata is stored: `sqlite://PATH`, or `postgres://USER:PASSWORD@HOST/DATABASE` for production
    /// [default: sqlite://DATA_DIR/metadata.db]
    #[arg(long, global = true, env = names::DATABASE_URL, hide_env_values = true, value_name = "URL")]
    pub database_url: Option<String>,

    /// File with `DATABASE_URL`. Of each secret setting only one may be set: it, or its file [default: none]
    #[arg(long, global = true, env = names::DATABASE_URL_FILE, value_name = "FILE", hide_short_help = true)]
    pub database_url_file: Option<PathBuf>,

    /// Most connections to PostgreSQL, 2 to 1000; a pooler must offer as many [default: 16]
    #[arg(
        long,
        global = true,
        env = names::DATABASE_CONNECTIONS,
        value_name = "NUMBER",
        hide_short_help = true
    )]
    pub database_connections: Option<String>,

    /// Whether statements are prepared by name on PostgreSQL; false behind a pooler in transaction mode that cannot
    /// keep prepared statements apart (PgBouncer before 1.21) [default: true]
    #[arg(
        long, global = true, env = names::DATABASE_PREPARED, value_name = "BOOL", num_args = 0..=1,
        require_equals = true, default_missing_value = "true", value_parser = FalseyValueParser::new(),
        hide_short_help = true
    )]
    pub database_prepared: Option<bool>,

    /// The hot tier, for new objects unless they ask for the other [default: `file://DATA_DIR/hot`]
    #[arg(long, global = true, env = names::HOT_URL, value_name = "URL", hide_short_help = true)]
    pub hot_url: Option<String>,

    /// The cold tier: a directory, or a bucket such as `s3://BUCKET/PREFIX`, whose options are variables such as
    /// JUSTSTORAGE_COLD_AWS_ENDPOINT [default: `file://DATA_DIR/cold`]
    #[arg(long, global = true, env = names::COLD_URL, value_name = "URL", hide_short_help = true)]
    pub cold_url: Option<String>,

    /// Bytes that what is read from a tier in a bucket may take in DATA_DIR/cache, so that it need not be fetched again:
    /// 0, or at least 16MiB; 0: nothing is cached [default: 10GiB]
    #[arg(long, global = true, env = names::CACHE_BYTES, value_name = "AMOUNT", hide_short_help = true)]
    pub cache_bytes: Option<String>,

    /// Bytes that uploads leave free on the file systems of the tiers and of the embedded database, so that deletes,
    /// garbage collection and a start work when they are full: such as 10GiB [default: a twentieth, 1GiB at most]
    #[arg(long, global = true, env = names::RESERVE_BYTES, value_name = "AMOUNT", hide_short_help = true)]
    pub reserve_bytes: Option<String>,

    /// URL of a server whose admin API `key`, `bucket`, `space`, `limits`, `stats` and `stuck` use in place of the
    /// database, such as https://store.example:8080 [default: none]
    #[arg(long, global = true, env = names::URL, value_name = "URL", hide_short_help = true)]
    pub url: Option<String>,

    /// API token for that URL. Prefer the environment: every user of the machine sees flags [default: none]
    #[arg(
        long,
        global = true,
        env = names::TOKEN,
        hide_env_values = true,
        value_name = "TOKEN",
        hide_short_help = true
    )]
    pub token: Option<String>,

    /// File with that token [default: none]
    #[arg(long, global = true, env = names::TOKEN_FILE, value_name = "FILE", hide_short_help = true)]
    pub token_file: Option<PathBuf>,

    /// TOML file of tenants, buckets and credentials: what the store does not have of them is made before it is ready,
    /// and what differs is logged and stays (docs/configuration.md) [default: none]
    #[arg(long, global = true, env = names::BOOTSTRAP, value_name = "FILE", hide_short_help = true)]
    pub bootstrap: Option<PathBuf>,

    /// Address of the native API; port 0 takes a free port [default: 127.0.0.1:8080]
    #[arg(long, global = true, env = names::NATIVE_ADDR, value_name = "IP:PORT")]
    pub native_addr: Option<String>,

    /// Address of the admin API, `/metrics` and the console, which the native address then has no more; it has the
    /// other calls of the native API too. Port 0 takes a free port [default: none: they are on NATIVE_ADDR]
    #[arg(
        long,
        global = true,
        env = names::ADMIN_ADDR,
        value_name = "IP:PORT",
        hide_short_help = true
    )]
    pub admin_addr: Option<String>,

    /// Address of the S3 front; port 0 takes a free port [default: 127.0.0.1:9000]
    #[arg(long, global = true, env = names::S3_ADDR, value_name = "IP:PORT")]
    pub s3_addr: Option<String>,

    /// Domain for `BUCKET.DOMAIN` (virtual-host style); path style always works
    /// [default: none]
    #[arg(long, global = true, env = names::S3_DOMAIN, value_name = "NAME", hide_short_help = true)]
    pub s3_domain: Option<String>,

    /// URL by which clients reach the S3 front, for answers and printed examples; `https://s3.example.com`
    /// [default: the host of each request]
    #[arg(long, global = true, env = names::S3_PUBLIC_URL, value_name = "URL", hide_short_help = true)]
    pub s3_public_url: Option<String>,

    /// Certificate chain in PEM: both fronts then speak TLS and nothing else. Read again when it changes
    /// [default: none]
    #[arg(long, global = true, env = names::TLS_CERT, value_name = "FILE", hide_short_help = true)]
    pub tls_cert: Option<PathBuf>,

    /// The certificate's private key in PEM [default: none]
    #[arg(long, global = true, env = names::TLS_KEY, value_name = "FILE", hide_short_help = true)]
    pub tls_key: Option<PathBuf>,

    /// How long a client may take to send a request's headers, and a connection may be idle: a number and ms,
    /// s, m, h or d [default: 75s]
    #[arg(long, global = true, env = names::IDLE_TIMEOUT, value_name = "DURATION", hide_short_help = true)]
    pub idle_timeout: Option<String>,

    /// How long a request's body may bring no byte, and a client may read no byte of an answer, before it is
    /// cut off [default: 60s]
    #[arg(long, global = true, env = names::STALL_TIMEOUT, value_name = "DURATION", hide_short_help = true)]
    pub stall_timeout: Option<String>,

    /// Minimum bytes per second of a request's body, over any STALL_TIMEOUT; slower ones are cut off. At most
    /// 32KiB; 0: no minimum [default: 4KiB]
    #[arg(long, global = true, env = names::UPLOAD_RATE_MIN, value_name = "AMOUNT", hide_short_help = true)]
    pub upload_rate_min: Option<String>,

    /// The region in answers to S3 clients, which may sign for any [default: us-east-1]
    #[arg(long, global = true, env = names::REGION, value_name = "NAME", hide_short_help = true)]
    pub region: Option<String>,

    /// Whether the native API requires credentials: `required`, or `disabled` [default: disabled if
    /// NATIVE_ADDR and ADMIN_ADDR are loopback addresses, required otherwise]
    #[arg(long, global = true, env = names::AUTH, value_name = "MODE")]
    pub auth: Option<String>,

    /// Allow `--auth disabled` on an address that other machines can reach
    #[arg(
        long, global = true, env = names::INSECURE, value_name = "BOOL", num_args = 0..=1,
        require_equals = true, default_missing_value = "true", value_parser = FalseyValueParser::new(),
        hide_short_help = true
    )]
    pub insecure: Option<bool>,

    /// Origins of web pages that browsers may let call the native API, with commas between them, or `*` for every one, which
    /// takes `--auth required`; never the admin API [default: none]
    #[arg(long, global = true, env = names::CORS_ORIGINS, value_name = "LIST", hide_short_help = true)]
    pub cors_origins: Option<String>,

    /// Access key of the root credential, which has all rights on S3 [default: juststorage if S3_ADDR is a
    /// loopback address; required otherwise]
    #[arg(long, global = true, env = names::S3_ROOT_ACCESS_KEY, value_name = "TEXT", hide_short_help = true)]
    pub s3_root_access_key: Option<String>,

    /// File with that access key [default: none]
    #[arg(long, global = true, env = names::S3_ROOT_ACCESS_KEY_FILE, value_name = "FILE", hide_short_help = true)]
    pub s3_root_access_key_file: Option<PathBuf>,

    /// Its secret key; at least 16 characters if S3_ADDR is not a loopback address. Prefer the environment:
    /// every user of the machine sees flags [default: as the access key]
    #[arg(
        long,
        global = true,
        env = names::S3_ROOT_SECRET_KEY,
        hide_env_values = true,
        value_name = "TEXT",
        hide_short_help = true
    )]
    pub s3_root_secret_key: Option<String>,

    /// File with that secret key [default: none]
    #[arg(long, global = true, env = names::S3_ROOT_SECRET_KEY_FILE, value_name = "FILE", hide_short_help = true)]
    pub s3_root_secret_key_file: Option<PathBuf>,

    /// Encrypts the secrets of S3 credentials in the database: 64 hexadecimal digits (`openssl rand -hex 32`).
    /// Prefer the environment [default: created once and kept as DATA_DIR/master.key if the database is
    /// embedded; required otherwise]
    #[arg(
        long,
        global = true,
        env = names::MASTER_KEY,
        hide_env_values = true,
        value_name = "HEX",
        hide_short_help = true
    )]
    pub master_key: Option<String>,

    /// File with the master key [default: none]
    #[arg(long, global = true, env = names::MASTER_KEY_FILE, value_name = "FILE", hide_short_help = true)]
    pub master_key_file: Option<PathBuf>,

    /// Where identical content is stored once: inside a `space`, across the spaces of a `tenant`, or
    /// across the whole `store` [default: tenant]
    #[arg(long, global = true, env = names::DEDUP, value_name = "SCOPE", hide_short_help = true)]
    pub dedup: Option<String>,

    /// Age at which an unfinished multipart upload is aborted: a number and s, m, h or d [default: 7d]
    #[arg(long, global = true, env = names::UPLOAD_EXPIRY, value_name = "DURATION", hide_short_help = true)]
    pub upload_expiry: Option<String>,

    /// For tests only: length of a day in lifecycle rules, 1s to 24h. If it is shorter, objects are removed
    /// that much earlier [default: 24h]
    #[arg(long, global = true, env = names::LIFECYCLE_DAY, value_name = "DURATION", hide_short_help = true)]
    pub lifecycle_day: Option<String>,

    /// Time from the start of a scrub pass, which reads every blob slowly and quarantines damaged ones, to the
    /// start of the next one: a number and s, m, h or d; 0s: no scrubbing [default: 14d]
    #[arg(long, global = true, env = names::SCRUB_EVERY, value_name = "DURATION", hide_short_help = true)]
    pub scrub_every: Option<String>,

    /// Requests per second that garbage collection, merging, moving and scrubs of a tier in a bucket may make of it,
    /// on one server; 0: no bound [default: 200]
    #[arg(
        long,
        global = true,
        env = names::UPKEEP_REQUESTS_PER_SECOND,
        value_name = "AMOUNT",
        hide_short_help = true
    )]
    pub upkeep_requests_per_second: Option<String>,

    /// Bytes per second that they may read of it, such as 16MiB: 0, or at least 64KiB; 0: no bound [default: 64MiB]
    #[arg(
        long,
        global = true,
        env = names::UPKEEP_BYTES_PER_SECOND,
        value_name = "AMOUNT",
        hide_short_help = true
    )]
    pub upkeep_bytes_per_second: Option<String>,

    /// How long a data file without references is kept before it is removed, so that a backup of the database
    /// finds its bytes in the tiers: a number and s, m, h or d; 0s: removed at once [default: 1h]
    #[arg(long, global = true, env = names::RETENTION, value_name = "DURATION", hide_short_help = true)]
    pub retention: Option<String>,

    /// How long open requests may take after SIGTERM: a number and s, m, h or d [default: 30s]
    #[arg(long, global = true, env = names::SHUTDOWN_GRACE, value_name = "DURATION", hide_short_help = true)]
    pub shutdown_grace: Option<String>,

    /// How long the server goes on after SIGTERM with `/ready` at 503, so that balancers send nothing more [default: 0s]
    #[arg(long, global = true, env = names::SHUTDOWN_DELAY, value_name = "DURATION", hide_short_help = true)]
    pub shutdown_delay: Option<String>,

    /// Log level, to standard error: a level, or directives such as `info,juststorage_core=debug`
    /// [default: info for serve, warn for other commands]
    #[arg(long, global = true, env = names::RUST_LOG, value_name = "DIRECTIVES")]
    pub log: Option<String>,

    /// How it is logged: `text` or `json` [default: text]
    #[arg(long, global = true, env = names::LOG_FORMAT, value_name = "FORMAT", hide_short_help = true)]
    pub log_format: Option<String>,

    /// Accepts JSON web tokens signed with this secret (HS256); at least 32 bytes. Prefer the environment
    /// [default: none]
    #[arg(
        long,
        global = true,
        env = names::JWT_SECRET,
        hide_env_values = true,
        value_name = "TEXT",
        hide_short_help = true
    )]
    pub jwt_secret: Option<String>,

    /// File with that secret [default: none]
    #[arg(long, global = true, env = names::JWT_SECRET_FILE, value_name = "FILE", hide_short_help = true)]
    pub jwt_secret_file: Option<PathBuf>,

    /// Accepts JSON web tokens signed with a key of this JWK set (RS256, ES256, EdDSA, HS256): a file, read again when
    /// it changes, or the https URL where an identity provider publishes it (http only to a loopback address) [default:
    /// none]
    #[arg(long, global = true, env = names::JWT_JWKS, value_name = "FILE|URL", hide_short_help = true)]
    pub jwt_jwks: Option<String>,

    /// How often the JWK set is fetched from its URL: 1s to 24h [default: 5m]
    #[arg(
        long,
        global = true,
        env = names::JWT_JWKS_REFRESH,
        value_name = "DURATION",
        hide_short_help = true
    )]
    pub jwt_jwks_refresh: Option<String>,

    /// Minimum time between two fetches of the JWK set: after a failed one, and when a token names a key that is not in
    /// the set [default: 30s]
    #[arg(
        long,
        global = true,
        env = names::JWT_JWKS_REFRESH_MIN,
        value_name = "DURATION",
        hide_short_help = true
    )]
    pub jwt_jwks_refresh_min: Option<String>,

    /// Maximum duration of a fetch of the JWK set: 100ms to 60s [default: 5s]
    #[arg(
        long,
        global = true,
        env = names::JWT_JWKS_TIMEOUT,
        value_name = "DURATION",
        hide_short_help = true
    )]
    pub jwt_jwks_timeout: Option<String>,

    /// Required issuer of JSON web tokens (`iss`) [default: any]
    #[arg(long, global = true, env = names::JWT_ISSUER, value_name = "TEXT", hide_short_help = true)]
    pub jwt_issuer: Option<String>,

    /// Required audience of JSON web tokens (`aud`) [default: none; a token that names an audience is refused]
    #[arg(long, global = true, env = names::JWT_AUDIENCE, value_name = "TEXT", hide_short_help = true)]
    pub jwt_audience: Option<String>,

    /// Name of the claim that identifies the holder of a JSON web token in logs. Dots lead into other claims, as in
    /// realm_access.roles; a dot inside a name is written `\.` [default: sub]
    #[arg(long, global = true, env = names::JWT_CLAIM_SUBJECT, value_name = "PATH", hide_short_help = true)]
    pub jwt_claim_subject: Option<String>,

    /// Name of the claim with the tenant [default: tenant]
    #[arg(long, global = true, env = names::JWT_CLAIM_TENANT, value_name = "PATH", hide_short_help = true)]
    pub jwt_claim_tenant: Option<String>,

    /// Name of the claim with a list of tenants [default: tenants]
    #[arg(long, global = true, env = names::JWT_CLAIM_TENANTS, value_name = "PATH", hide_short_help = true)]
    pub jwt_claim_tenants: Option<String>,

    /// Name of the claim with the namespaces, or prefixes such as `team-*`; a token without it opens all namespaces of
    /// its tenant [default: namespaces]
    #[arg(
        long,
        global = true,
        env = names::JWT_CLAIM_NAMESPACES,
        value_name = "PATH",
        hide_short_help = true
    )]
    pub jwt_claim_namespaces: Option<String>,

    /// Name of the claim with the prefixes of the keys that a token opens; one without it opens all keys [default: prefixes]
    #[arg(long, global = true, env = names::JWT_CLAIM_PREFIXES, value_name = "PATH", hide_short_help = true)]
    pub jwt_claim_prefixes: Option<String>,

    /// Name of the claim with the rights: read, write, delete, admin; other words are ignored [default: scope]
    #[arg(long, global = true, env = names::JWT_CLAIM_RIGHTS, value_name = "PATH", hide_short_help = true)]
    pub jwt_claim_rights: Option<String>,

    /// Tenant of JSON web tokens that name no tenant [default: none; they are refused]
    #[arg(long, global = true, env = names::JWT_TENANT, value_name = "NAME", hide_short_help = true)]
    pub jwt_tenant: Option<String>,

    /// Prefix of rights in that claim, such as `store:` for `store:read`; words without it are ignored [default: none]
    #[arg(long, global = true, env = names::JWT_RIGHTS_PREFIX, value_name = "TEXT", hide_short_help = true)]
    pub jwt_rights_prefix: Option<String>,

    /// The master key before this one, until `key rotate-master` has run. Prefer the environment [default: none]
    #[arg(
        long,
        global = true,
        env = names::MASTER_KEY_PREVIOUS,
        hide_env_values = true,
        value_name = "HEX",
        hide_short_help = true
    )]
    pub master_key_previous: Option<String>,

    /// File with the master key before this one [default: none]
    #[arg(long, global = true, env = names::MASTER_KEY_PREVIOUS_FILE, value_name = "FILE", hide_short_help = true)]
    pub master_key_previous_file: Option<PathBuf>,

    /// Requests per second of a tenant, unless `limits set` says otherwise [default: no limit]
    #[arg(
        long,
        global = true,
        env = names::LIMIT_REQUESTS_PER_SECOND,
        value_name = "NUMBER",
        hide_short_help = true
    )]
    pub limit_requests_per_second: Option<String>,

    /// Concurrent requests of a tenant [default: no limit]
    #[arg(
        long,
        global = true,
        env = names::LIMIT_CONCURRENT_REQUESTS,
        value_name = "NUMBER",
        hide_short_help = true
    )]
    pub limit_concurrent_requests: Option<String>,

    /// Bytes that a tenant may send per second: a number, or such as 50MiB [default: no limit]
    #[arg(
        long,
        global = true,
        env = names::LIMIT_UPLOAD_BYTES_PER_SECOND,
        value_name = "AMOUNT",
        hide_short_help = true
    )]
    pub limit_upload_bytes_per_second: Option<String>,

    /// Bytes that a tenant may receive per second [default: no limit]
    #[arg(
        long,
        global = true,
        env = names::LIMIT_DOWNLOAD_BYTES_PER_SECOND,
        value_name = "AMOUNT",
        hide_short_help = true
    )]
    pub limit_download_bytes_per_second: Option<String>,

    /// Bytes that a tenant may store, in all versions of all its objects [default: no limit]
    #[arg(long, global = true, env = names::QUOTA_BYTES, value_name = "AMOUNT", hide_short_help = true)]
    pub quota_bytes: Option<String>,

    /// Objects that a tenant may store, versions included [default: no limit]
    #[arg(long, global = true, env = names::QUOTA_OBJECTS, value_name = "NUMBER", hide_short_help = true)]
    pub quota_objects: Option<String>,

    /// Requests that the server works on at once before tenants take turns [default: 128 per processor]
    #[arg(long, global = true, env = names::TURNS, value_name = "NUMBER", hide_short_help = true)]
    pub turns: Option<String>,

    /// Accept S3 requests that very old clients sign with Signature Version 2 (SHA-1, no expiry of the header's
    /// signature beyond its date); if off, such requests are refused with a message that says so [default: false]
    #[arg(
        long, global = true, env = names::S3_SIGV2, value_name = "BOOL", num_args = 0..=1,
        require_equals = true, default_missing_value = "true", value_parser = FalseyValueParser::new(),
        hide_short_help = true
    )]
    pub s3_sigv2: Option<bool>,

    /// Let the ACLs public-read, public-read-write and authenticated-read on S3 buckets and objects grant access to
    /// others than the owner, also without a signature; if off, they are refused [default: false]
    #[arg(
        long, global = true, env = names::S3_ACLS, value_name = "BOOL", num_args = 0..=1,
        require_equals = true, default_missing_value = "true", value_parser = FalseyValueParser::new(),
        hide_short_help = true
    )]
    pub s3_acls: Option<bool>,

    /// Addresses of the reverse proxies in front, or ranges of them, behind commas: what they say of their clients in
    /// `X-Forwarded-For` and `X-Forwarded-Proto` counts for the conditions aws:SourceIp and aws:SecureTransport of bucket
    /// policies [default: none]
    #[arg(long, global = true, env = names::TRUSTED_PROXIES, value_name = "LIST", hide_short_help = true)]
    pub trusted_proxies: Option<String>,

    /// Whether the root credential is that of MinIO's own variables, which messages then name.
    #[arg(skip)]
    #[serde(skip)]
    pub root_of_minio: bool,
}
