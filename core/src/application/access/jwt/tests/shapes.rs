//! Tokens of the shapes that Keycloak and Dex issue, and claims that stand elsewhere than the defaults say.

use super::*;
use crate::domain::principal::Tenants;

fn path(text: &str) -> ClaimPath {
    ClaimPath::parse(text).unwrap()
}

/// An access token as a Keycloak realm issues it: roles inside `realm_access` and `resource_access`, the groups of a
/// mapper with their slashes, an attribute of the user as the tenant.
fn keycloak() -> Value {
    json!({
        "exp": NOW_S + 300, "iat": NOW_S, "auth_time": NOW_S,
        "jti": "onrtac:7f2b6f0e-40f3-9f5a-5e0c-b2a1f26f1a33",
        "iss": "https://id.example.com/realms/acme",
        "aud": ["store", "account"],
        "sub": "08a8684b-db88-4b73-90a9-3cd1661f5466",
        "typ": "Bearer", "azp": "model-hub", "sid": "d2f7b2f6-bf2b-4b0e-8f6a-a54d1f0f7f0a", "acr": "1",
        "allowed-origins": ["https://hub.example.com"],
        "realm_access": { "roles": ["default-roles-acme", "offline_access", "store:read", "store:write", "admin"] },
        "resource_access": {
            "account": { "roles": ["manage-account", "view-profile"] },
            "model.hub": { "roles": ["delete"] },
        },
        "scope": "openid email profile",
        "email_verified": true, "preferred_username": "ada", "name": "Ada Lovelace", "email": "ada@example.com",
        "organization": { "tenant": "acme", "namespaces": ["models", "team-*"] },
    })
}

/// An ID token as Dex issues it with its LDAP connector: no claim of it can be chosen, only groups.
fn dex() -> Value {
    json!({
        "iss": "https://dex.example.com/dex",
        "sub": "CiQwOGE4Njg0Yi1kYjg4LTRiNzMtOTBhOS0zY2QxNjYxZjU0NjYSBGxkYXA",
        "aud": "store",
        "exp": NOW_S + 86_400, "iat": NOW_S,
        "at_hash": "6yO7XhPbqzk5tV0AOwWMlw", "c_hash": "zZ0wMYrHnHTVdVbM2Hh1iw",
        "email": "ada@example.com", "email_verified": true,
        "groups": ["developers", "store-read", "store-delete", "admin"],
        "name": "Ada Lovelace", "preferred_username": "ada",
        "federated_claims": { "connector_id": "ldap", "user_id": "08a8684b-db88-4b73-90a9-3cd1661f5466" },
    })
}

fn keycloak_rules() -> JwtRules {
    JwtRules {
        issuer: Some("https://id.example.com/realms/acme".into()),
        audience: Some("store".into()),
        claims: ClaimNames {
            subject: path("preferred_username"),
            tenant: path("organization.tenant"),
            namespaces: path("organization.namespaces"),
            rights: path("realm_access.roles"),
            ..ClaimNames::default()
        },
        rights_prefix: Some("store:".into()),
        ..JwtRules::default()
    }
}

#[tokio::test]
async fn a_keycloak_token_lets_its_user_in() {
    let (signers, verifier) = verifier(keycloak_rules());
    let who = verifier.verify(&signers.token("r", &keycloak()), NOW).await.unwrap();
    assert_eq!((who.name.as_str(), who.tenant.as_str()), ("jwt:ada", "acme"));
    // A role `admin` of the realm is none here.
    assert_eq!(who.rights, Rights::parse("read,write").unwrap());
    let space = |name: &str| SpaceAddress::new(Namespace::new(name).unwrap(), Tenant::new("acme").unwrap());
    assert!(who.sees(&space("models")) && who.sees(&space("team-a")) && !who.sees(&space("other")));
    assert_eq!(who.tenants, Tenants::Own);
    // Roles of a client whose name has a dot.
    let mut rules = keycloak_rules();
    (rules.claims.rights, rules.rights_prefix) = (path(r"resource_access.model\.hub.roles"), None);
    let verifier = JwtVerifier::new(signers.keys(), rules);
    let who = verifier.verify(&signers.token("r", &keycloak()), NOW).await.unwrap();
    assert_eq!(who.rights, Rights::parse("delete").unwrap());
}

/// Tokens that an application makes for its users open a prefix each; one that claims more beside it opens nothing.
#[tokio::test]
async fn a_token_may_be_bound_to_prefixes() {
    let (signers, verifier) = verifier(JwtRules::default());
    let verify = async |prefixes: Value, scope: &str| {
        let mut claims = claims();
        (claims["prefixes"], claims["scope"]) = (prefixes, json!(scope));
        verifier.verify(&signers.token("d", &claims), NOW).await
    };
    for one in [json!("users/7/"), json!(["users/7/"])] {
        let who = verify(one, "read write").await.unwrap();
        assert!(who.covers("users/7/a") && !who.covers("users/70/a") && !who.covers(""));
    }
    assert!(verify(Value::Null, "read").await.unwrap().covers("anything"));
    assert!(!verify(json!([]), "read").await.unwrap().covers("anything"));
    for bad in [json!(""), json!(["a", ""]), json!([7]), json!({}), json!(7), json!("a\u{0}")] {
        assert!(verify(bad.clone(), "read").await.is_err(), "{bad}");
    }
    assert!(verify(json!("users/7/"), "read admin").await.is_err());
}

#[tokio::test]
async fn a_dex_token_lets_its_user_in() {
    let rules = JwtRules {
        issuer: Some("https://dex.example.com/dex".into()),
        audience: Some("store".into()),
        claims: ClaimNames { subject: path("email"), rights: path("groups"), ..ClaimNames::default() },
        tenant: Some(Tenant::new("acme").unwrap()),
        rights_prefix: Some("store-".into()),
    };
    let (signers, verifier) = verifier(rules.clone());
    // Dex sends no `typ`.
    let header = json!({ "alg": "RS256", "kid": "r" });
    let token = signers.sign("r", &header, &dex());
    let who = verifier.verify(&token, NOW).await.unwrap();
    assert_eq!((who.name.as_str(), who.tenant.as_str()), ("jwt:ada@example.com", "acme"));
    assert_eq!(who.rights, Rights::parse("read,delete").unwrap());
    // Without a tenant of the settings there is none.
    let verifier = JwtVerifier::new(signers.keys(), JwtRules { tenant: None, ..rules });
    assert!(verifier.verify(&token, NOW).await.is_err());
}

/// The setting fills a gap and overrules nothing.
#[tokio::test]
async fn a_tenant_of_the_token_wins_over_the_settings() {
    let tenant = |name: &str| Tenant::new(name).unwrap();
    let (signers, verifier) = verifier(JwtRules { tenant: Some(tenant("other")), ..JwtRules::default() });
    let tenants = async |claims: Value| {
        verifier.verify(&signers.token("d", &claims), NOW).await.map(|who| (who.tenant, who.tenants))
    };
    assert_eq!(tenants(claims()).await, Ok((tenant("acme"), Tenants::Own)));
    assert_eq!(tenants(with("tenant", Value::Null)).await, Ok((tenant("other"), Tenants::Own)));
    let mut several = with("tenants", json!(["acme"]));
    several.as_object_mut().unwrap().remove("tenant");
    assert_eq!(tenants(several.clone()).await, Ok((tenant("acme"), Tenants::These(vec![tenant("acme")]))));
    several["tenants"] = json!([]);
    assert!(tenants(several).await.is_err());
}

/// What was meant as a restriction is never overlooked because it has another shape than the path says.
#[tokio::test]
async fn claims_of_another_shape_than_the_path_refuse_the_token() {
    let (signers, verifier) = verifier(keycloak_rules());
    for organization in [json!("acme"), json!(["acme"]), json!(7), json!({ "tenant": ["acme"] })] {
        let mut claims = keycloak();
        claims["organization"] = organization.clone();
        let token = signers.token("r", &claims);
        assert!(verifier.verify(&token, NOW).await.is_err(), "{organization}");
    }
    for roles in [json!("store:read"), json!({ "roles": [7] }), json!({ "roles": { "store:read": true } })] {
        let mut claims = keycloak();
        claims["realm_access"] = roles.clone();
        let token = signers.token("r", &claims);
        assert!(verifier.verify(&token, NOW).await.is_err(), "{roles}");
    }
    // No roles at all are none.
    let mut claims = keycloak();
    claims.as_object_mut().unwrap().remove("realm_access");
    let who = verifier.verify(&signers.token("r", &claims), NOW).await.unwrap();
    assert_eq!(who.rights, Rights::default());
}

#[test]
fn paths_are_names_with_dots_between_them() {
    let claims: Claims = serde_json::from_value(json!({
        "a": { "b": { "c": 1 } }, "a.b": 2, r"a\b": 3, "https://example.com/roles": 4,
    }))
    .unwrap();
    let at = |text: &str| claims.at(&path(text)).unwrap().and_then(Value::as_i64);
    assert_eq!(at("a.b.c"), Some(1));
    assert_eq!(at(r"a\.b"), Some(2));
    assert_eq!(at(r"a\\b"), Some(3));
    assert_eq!(at(r"https://example\.com/roles"), Some(4));
    assert_eq!(at("a.x.c"), None);
    assert!(claims.at(&path(r"a\.b.c")).is_err());
    for bad in ["", ".", "a.", ".a", "a..b", r"a\", r"a\b", "a.b.c.d.e.f.g.h.i", &"x".repeat(257)] {
        assert!(ClaimPath::parse(bad).is_err(), "{bad}");
    }
}
