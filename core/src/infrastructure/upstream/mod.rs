//! Upstreams over the AWS SDK: whatever speaks S3.

mod addresses;
mod answers;
mod client;
mod facts;
#[cfg(test)]
mod tests;
mod versions;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::config::interceptors::{
    BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, ConfigBag, Credentials, Intercept, Region, RequestChecksumCalculation,
    ResponseChecksumValidation, RuntimeComponents, StalledStreamProtectionConfig,
};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_http_client::{Builder, tls};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use http_body_util::Limited;

use crate::application::ports::upstream::{Answer, Upstream, UpstreamConnector, UpstreamError};
use crate::domain::identity::StoreId;
use crate::domain::upstream::{Addressing, Target, VIA_HEADER};
use addresses::Checked;
use client::S3Upstream;

/// How long an answer may take to begin, and each piece of its body to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// How long a whole answer may take; of an object, its head.
const ANSWER: Duration = Duration::from_secs(60);

/// Longest answer that is read as a whole, in bytes: a page of a listing has at most 1,000 keys of at most 1,024 bytes each.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// How often a request is tried before it counts as failed.
const ATTEMPTS: u32 = 3;

/// Connects upstreams over HTTP and HTTPS.
#[derive(Clone, Debug)]
pub struct S3Connector {
    store: StoreId,
}

impl S3Connector {
    /// For the store with this id, which no upstream may be.
    pub fn new(store: StoreId) -> Self {
        Self { store }
    }
}

impl UpstreamConnector for S3Connector {
    fn connect(&self, target: &Target, secret: &str) -> Answer<Arc<dyn Upstream>> {
        let resolver = Checked::new(target).map_err(UpstreamError::Forbidden)?;
        let http = Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .build_with_resolver(resolver);
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .read_timeout(PATIENCE)
            .operation_attempt_timeout(ANSWER)
            .build();
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http)
            .region(Region::new(target.region.clone()))
            .endpoint_url(target.endpoint.clone())
            .force_path_style(target.addressing == Addressing::Path)
            .credentials_provider(Credentials::new(target.access_key.clone(), secret, None, None, "upstream"))
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            // A body that stops is noticed where it is read.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            // What proves an object's bytes is decided elsewhere, for every upstream in the same way.
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .interceptor(Via(self.store.to_string()))
            .interceptor(Bounded)
            .build();
        // Bytes take the time that they take, as long as they go; who sends them looks after that.
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).build();
        let sending = config.to_builder().timeout_config(timeouts).retry_config(RetryConfig::disabled());
        let sending = aws_sdk_s3::Client::from_conf(sending.build());
        let client = aws_sdk_s3::Client::from_conf(config);
        Ok(Arc::new(S3Upstream::new(client, sending, target.clone())))
    }
}

/// Names this store in every request.
#[derive(Debug)]
struct Via(String);

impl Intercept for Via {
    fn name(&self) -> &'static str {
        "Via"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        context.request_mut().headers_mut().insert(VIA_HEADER, self.0.clone());
        Ok(())
    }
}

/// Ends an answer that is read as a whole (a listing, an error) at [`ANSWER_BYTES_MAX`]: an upstream does not decide how much
/// memory its answers take. The bytes of an object are passed on as they come.
#[derive(Debug)]
struct Bounded;

impl Intercept for Bounded {
    fn name(&self) -> &'static str {
        "Bounded"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response_mut();
        let is_object = config.load::<Metadata>().is_some_and(|call| call.name() == "GetObject");
        if !(is_object && response.status().is_success()) {
            let body = std::mem::replace(response.body_mut(), SdkBody::taken());
            *response.body_mut() = SdkBody::from_body_1_x(Limited::new(body, ANSWER_BYTES_MAX));
        }
        Ok(())
    }
}
