#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use juststorage_core::application::access::AuthMode;
use juststorage_core::domain::space::DedupScope;
use juststorage_native_api::Origins;

use super::*;

fn refused(settings: &Settings) -> ConfigError {
    Config::new(settings).err().expect("these settings are refused")
}

fn set(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::default();
    change(&mut settings);
    settings
}

#[test]
fn no_settings_at_all_serve_loopback_from_data() {
    let config = Config::new(&Settings::default()).unwrap();
    assert_eq!(config.listen.native.to_string(), "127.0.0.1:8080");
    assert_eq!(config.listen.s3.to_string(), "127.0.0.1:9000");
    assert_eq!(config.listen.region, "us-east-1");
    assert_eq!(config.storage.database.reveal(), "sqlite://./data/metadata.db");
    assert_eq!(config.storage.hot, TierUrl::Directory("./data/hot".into()));
    assert_eq!(config.storage.cold, TierUrl::Directory("./data/cold".into()));
    assert_eq!(config.storage.dedup, DedupScope::Tenant);
    assert_eq!(config.access.mode, AuthMode::Disabled);
    assert_eq!(config.access.root.access_key, "juststorage");
    assert!(config.access.root_is_default);
    assert_eq!(config.upload_expiry, 7 * DAY);
    assert_eq!(config.shutdown_grace, Duration::from_secs(30));
}

/// Where authentication is disabled, a page that may call may do everything: only named origins may.
#[test]
fn origins_are_named_and_every_origin_takes_credentials() {
    let origins = |text: &str, auth: &str| {
        set(|s| (s.cors_origins, s.auth) = (Some(text.to_owned()), Some(auth.to_owned())))
    };
    let named = Config::new(&origins("https://app.example.com,http://localhost:5173", "disabled")).unwrap();
    assert_ne!(named.access.origins, Origins::None);
    assert_eq!(Config::new(&origins("*", "required")).unwrap().access.origins, Origins::Any);
    for (text, auth) in
        [("*", "disabled"), ("app.example.com", "required"), ("https://app.example.com/x", "required")]
    {
        assert_eq!(refused(&origins(text, auth)).setting, names::CORS_ORIGINS, "{text} {auth}");
    }
    assert_eq!(Config::new(&Settings::default()).unwrap().access.origins, Origins::None);
}

#[test]
fn the_higher_layer_wins_and_an_empty_value_says_nothing() {
    let higher = set(|s| {
        s.region = Some("eu-1".into());
        s.s3_domain = Some(String::new());
    });
    let lower = set(|s| {
        s.region = Some("us-1".into());
        s.s3_domain = Some("s3.example.com".into());
        s.insecure = Some(true);
    });
    let both = higher.or(lower);
    assert_eq!(both.region.as_deref(), Some("eu-1"));
    assert_eq!(both.s3_domain.as_deref(), Some("s3.example.com"));
    assert_eq!(both.insecure, Some(true));
}

#[test]
fn a_file_with_an_unknown_key_is_refused_without_repeating_it_all() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("settings.toml");
    std::fs::write(&path, "region = \"eu-1\"\nnative_addr = \"0.0.0.0:1\"\ninsecure = true\n").unwrap();
    let settings = Settings::read(&path).unwrap();
    assert_eq!(settings.native_addr.as_deref(), Some("0.0.0.0:1"));
    assert_eq!(settings.insecure, Some(true));

    std::fs::write(&path, "region = \"eu-1\"\nmaster_keyy = \"topsecret\"\n").unwrap();
    let error = Settings::read(&path).err().unwrap().to_string();
    assert!(error.contains("line 2") && error.contains("master_keyy"), "{error}");
    assert!(!error.contains("topsecret"), "{error}");
    assert_eq!(Settings::read(&directory.path().join("none")).err().unwrap().setting, "JUSTSTORAGE_CONFIG");
}

#[test]
fn an_open_store_stays_on_loopback() {
    let wide = |s: &mut Settings| {
        s.native_addr = Some("0.0.0.0:8080".into());
        s.s3_root_access_key = Some("root".into());
        s.s3_root_secret_key = Some("sixteen-or-more-characters".into());
    };
    assert_eq!(Config::new(&set(wide)).unwrap().access.mode, AuthMode::Required);
    let open = |s: &mut Settings| {
        wide(s);
        s.auth = Some("disabled".into());
    };
    assert_eq!(refused(&set(open)).setting, "JUSTSTORAGE_AUTH");
    let insecure = set(|s| {
        open(s);
        s.insecure = Some(true);
    });
    assert_eq!(Config::new(&insecure).unwrap().access.mode, AuthMode::Disabled);
    for loopback in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "localhost:1"] {
        let settings = set(|s| s.native_addr = Some(loopback.into()));
        assert_eq!(Config::new(&settings).unwrap().access.mode, AuthMode::Disabled, "{loopback}");
    }
}

#[test]
fn the_default_root_key_stays_on_loopback() {
    let wide = |access: Option<&str>, secret: Option<&str>| {
        set(|s| {
            s.s3_addr = Some("[::]:9000".into());
            s.s3_root_access_key = access.map(str::to_owned);
            s.s3_root_secret_key = secret.map(str::to_owned);
        })
    };
    assert_eq!(refused(&wide(None, None)).setting, "JUSTSTORAGE_S3_ROOT_ACCESS_KEY");
    assert_eq!(refused(&wide(Some("root"), None)).setting, "JUSTSTORAGE_S3_ROOT_SECRET_KEY");
    assert_eq!(refused(&wide(None, Some("x"))).setting, "JUSTSTORAGE_S3_ROOT_ACCESS_KEY");
    let short = refused(&wide(Some("juststorage"), Some("juststorage")));
    assert_eq!(short.setting, "JUSTSTORAGE_S3_ROOT_SECRET_KEY");
    assert_eq!(refused(&wide(Some("a/b/c"), Some("0123456789abcdef"))).setting, ACCESS);
    assert!(!Config::new(&wide(Some("root"), Some("0123456789abcdef"))).unwrap().access.root_is_default);
}

const ACCESS: &str = "JUSTSTORAGE_S3_ROOT_ACCESS_KEY";

#[test]
fn a_shared_database_needs_a_shared_master_key() {
    let postgres = |key: Option<&str>| {
        set(|s| {
            s.database_url = Some("postgres://user:hush@db/store?password=hush".into());
            s.master_key = key.map(str::to_owned);
        })
    };
    assert_eq!(refused(&postgres(None)).setting, "JUSTSTORAGE_MASTER_KEY");
    let bad = refused(&postgres(Some("abcdef")));
    assert_eq!(bad.setting, "JUSTSTORAGE_MASTER_KEY");
    assert!(!bad.to_string().contains("abcdef"));
    let config = Config::new(&postgres(Some(&"ab".repeat(32)))).unwrap();
    assert_eq!(config.storage.database.to_string(), "postgres://db/store");
    assert!(!format!("{:?}", config.storage).contains("hush"));
}

type Change = fn(&mut Settings);

#[test]
fn what_is_not_supported_is_refused_and_not_ignored() {
    let cases: [(&str, Change); 27] = [
        ("JUSTSTORAGE_JWT_SECRET", |s| s.jwt_secret = Some("x".into())),
        ("JUSTSTORAGE_JWT_JWKS", |s| {
            s.jwt_jwks = Some("x".into());
            s.jwt_secret = Some("y".repeat(32));
        }),
        ("JUSTSTORAGE_JWT_ISSUER", |s| s.jwt_issuer = Some("x".into())),
        ("JUSTSTORAGE_JWT_AUDIENCE", |s| s.jwt_audience = Some("x".into())),
        ("JUSTSTORAGE_JWT_CLAIM_RIGHTS", |s| s.jwt_claim_rights = Some("roles".into())),
        ("JUSTSTORAGE_JWT_TENANT", |s| s.jwt_tenant = Some("acme".into())),
        ("JUSTSTORAGE_JWT_JWKS_REFRESH", |s| s.jwt_jwks_refresh = Some("5m".into())),
        ("JUSTSTORAGE_JWT_JWKS_TIMEOUT", |s| {
            s.jwt_jwks = Some("keys.json".into());
            s.jwt_jwks_timeout = Some("5s".into());
        }),
        ("JUSTSTORAGE_JWT_JWKS_TIMEOUT", |s| {
            published(s);
            s.jwt_jwks_timeout = Some("61s".into());
        }),
        ("JUSTSTORAGE_JWT_JWKS_REFRESH", |s| {
            published(s);
            s.jwt_jwks_refresh = Some("500ms".into());
        }),
        ("JUSTSTORAGE_JWT_JWKS_REFRESH", |s| {
            published(s);
            s.jwt_jwks_refresh = Some("25h".into());
        }),
        ("JUSTSTORAGE_JWT_JWKS_REFRESH_MIN", |s| {
            published(s);
            (s.jwt_jwks_refresh, s.jwt_jwks_refresh_min) = (Some("1m".into()), Some("2m".into()));
        }),
        ("JUSTSTORAGE_JWT_CLAIM_TENANT", |s| {
            published(s);
            s.jwt_claim_tenant = Some("a..b".into());
        }),
        ("JUSTSTORAGE_JWT_CLAIM_SUBJECT", |s| {
            published(s);
            s.jwt_claim_subject = Some(r"a\b".into());
        }),
        ("JUSTSTORAGE_JWT_TENANT", |s| {
            published(s);
            s.jwt_tenant = Some("No Tenant".into());
        }),
        ("JUSTSTORAGE_JWT_RIGHTS_PREFIX", |s| s.jwt_rights_prefix = Some("store:".into())),
        ("JUSTSTORAGE_MASTER_KEY_PREVIOUS", |s| s.master_key_previous = Some("ab".repeat(32))),
        ("JUSTSTORAGE_TLS_KEY", |s| s.tls_cert = Some("x".into())),
        ("JUSTSTORAGE_HOT_URL", |s| s.hot_url = Some("ftp://bucket/prefix".into())),
        ("JUSTSTORAGE_COLD_URL", |s| s.cold_url = Some("file://./data/hot".into())),
        ("DATABASE_URL", |s| s.database_url = Some("mysql://x".into())),
        ("DATABASE_URL", |s| s.database_url = Some("postgres://u:p@one,,two/x".into())),
        ("DATABASE_URL", |s| s.database_url = Some("postgres://one/x?target_session_attrs=standby".into())),
        ("JUSTSTORAGE_DEDUP", |s| s.dedup = Some("world".into())),
        ("JUSTSTORAGE_SHUTDOWN_DELAY", |s| s.shutdown_delay = Some("soon".into())),
        ("JUSTSTORAGE_SHUTDOWN_GRACE", |s| s.shutdown_grace = Some("30".into())),
        ("JUSTSTORAGE_NATIVE_ADDR", |s| s.native_addr = Some("example.com:80".into())),
    ];
    for (setting, change) in cases {
        assert_eq!(refused(&set(change)).setting, setting);
    }
    assert!(!Config::new(&set(|s| s.s3_sigv2 = None)).unwrap().listen.s3_sigv2);
    assert!(Config::new(&set(|s| s.s3_sigv2 = Some(true))).unwrap().listen.s3_sigv2);
    assert!(!Config::new(&set(|s| s.s3_acls = None)).unwrap().listen.s3_acls);
    assert!(Config::new(&set(|s| s.s3_acls = Some(true))).unwrap().listen.s3_acls);
}

fn published(settings: &mut Settings) {
    settings.jwt_jwks = Some("https://id.example.com/keys".into());
}

/// An attacker who changes the answer on its way can sign tokens: plain HTTP stays on this machine.
#[test]
fn keys_come_over_tls_or_from_this_machine() {
    let jwks = |place: &str| set(|s| s.jwt_jwks = Some(place.into()));
    for good in [
        "https://id.example.com/realms/acme/protocol/openid-connect/certs",
        "https://10.0.0.7:8443/keys?tenant=acme",
        "http://127.0.0.1:5556/dex/keys",
        "http://[::1]:5556/keys",
        "http://localhost/keys",
    ] {
        let config = Config::new(&jwks(good)).unwrap().access.jwt.unwrap();
        let JwtSource::Url(url, pace) = config.source else { panic!("{good} is a file") };
        assert_eq!(url.to_string(), good);
        let seconds = [pace.every, pace.least, pace.timeout].map(|time| time.as_secs());
        assert_eq!(seconds, [300, 30, 5]);
    }
    for bad in [
        "http://id.example.com/keys",
        "http://10.0.0.7/keys",
        "http://localhost.example.com/keys",
        "https://user:hush@id.example.com/keys",
        "https://",
        "https://id.example.com/keys#x",
        "file:///etc/keys.json",
        "ftp://id.example.com/keys",
    ] {
        let error = refused(&jwks(bad));
        assert_eq!(error.setting, "JUSTSTORAGE_JWT_JWKS", "{bad}");
        assert!(!error.to_string().contains("hush"), "{error}");
    }
    let file = Config::new(&jwks("keys.json")).unwrap().access.jwt.unwrap();
    assert!(matches!(file.source, JwtSource::File(_)));
    // A short pace shortens the least time between two fetches too.
    let mut short = jwks("http://localhost/keys");
    short.jwt_jwks_refresh = Some("2s".into());
    let JwtSource::Url(_, pace) = Config::new(&short).unwrap().access.jwt.unwrap().source else { panic!() };
    assert_eq!((pace.every.as_secs(), pace.least.as_secs()), (2, 2));
}

#[test]
fn paths_survive_their_urls() {
    let settings = set(|s| {
        s.data_dir = Some("/tmp/50% of ?".into());
        s.cold_url = Some("file:///srv/a%20b".into());
    });
    let config = Config::new(&settings).unwrap();
    assert_eq!(config.storage.database.reveal(), "sqlite:///tmp/50%25%20of%20%3F/metadata.db");
    assert_eq!(config.storage.cold, TierUrl::Directory("/srv/a b".into()));
}

/// The table in docs/configuration.md names every setting: it cannot fall behind.
#[test]
fn every_setting_is_documented() {
    use clap::CommandFactory as _;
    let page = include_str!("../../docs/configuration.md");
    for argument in crate::cli::Cli::command().get_arguments() {
        let Some(variable) = argument.get_env().and_then(|name| name.to_str()) else { continue };
        let flag = argument.get_long().expect("every setting has a flag");
        assert!(page.contains(&format!("`{variable}`")), "{variable} is missing");
        assert!(page.contains(&format!("`--{flag}`")), "--{flag} is missing");
    }
}
