//! The services qmoor talks to, and where they are.

use aws_types::SdkConfig;
use aws_types::service_config::ServiceConfigKey;

/// What differs between services besides their calls.
#[derive(Debug)]
pub(crate) struct Service {
    /// The SDK's id, which names the endpoint's own variable (`AWS_ENDPOINT_URL_SECRETS_MANAGER`).
    pub(crate) id: &'static str,
    /// The name in signatures and in the names of permissions.
    pub(crate) name: &'static str,
    /// The first label of the host name.
    pub(crate) host: &'static str,
    /// Query protocol: the API version. JSON protocol: what the target begins with.
    pub(crate) api: &'static str,
    /// JSON protocol: `1.0` or `1.1`. Empty for the Query protocol.
    pub(crate) json: &'static str,
}

pub(crate) const EC2: Service =
    Service { id: "EC2", name: "ec2", host: "ec2", api: "2016-11-15", json: "" };
pub(crate) const CLOUDFORMATION: Service = Service {
    id: "CloudFormation",
    name: "cloudformation",
    host: "cloudformation",
    api: "2010-05-15",
    json: "",
};
pub(crate) const STS: Service =
    Service { id: "STS", name: "sts", host: "sts", api: "2011-06-15", json: "" };
pub(crate) const SECRETS: Service = Service {
    id: "Secrets Manager",
    name: "secretsmanager",
    host: "secretsmanager",
    api: "secretsmanager",
    json: "1.1",
};
pub(crate) const SSM: Service =
    Service { id: "SSM", name: "ssm", host: "ssm", api: "AmazonSSM", json: "1.1" };
pub(crate) const STATES: Service =
    Service { id: "SFN", name: "states", host: "states", api: "AWSStepFunctions", json: "1.0" };
pub(crate) const EVENTS: Service =
    Service { id: "EventBridge", name: "events", host: "events", api: "AWSEvents", json: "1.1" };
pub(crate) const QUOTAS: Service = Service {
    id: "Service Quotas",
    name: "servicequotas",
    host: "servicequotas",
    api: "ServiceQuotasV20190624",
    json: "1.1",
};

impl Service {
    /// The address of the service: the one configured for it, else the one configured for all, else
    /// AWS's own in `region`.
    ///
    /// Source: <https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>.
    pub(crate) fn endpoint(&self, config: &SdkConfig, region: &str) -> String {
        let key = ServiceConfigKey::builder()
            .service_id(self.id)
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build();
        let own = config.service_config().zip(key.ok()).and_then(|(all, key)| all.load_config(key));
        own.or_else(|| config.endpoint_url().map(ToOwned::to_owned)).unwrap_or_else(|| {
            let fips = config.use_fips().unwrap_or_default();
            let dual_stack = config.use_dual_stack().unwrap_or_default();
            self.default_endpoint(region, fips, dual_stack)
        })
    }

    fn default_endpoint(&self, region: &str, fips: bool, dual_stack: bool) -> String {
        let host = self.host;
        let fips = if fips { "-fips" } else { "" };
        let china = region.starts_with("cn-");
        let domain = match (china, dual_stack) {
            (false, false) => "amazonaws.com",
            (false, true) => "api.aws",
            (true, false) => "amazonaws.com.cn",
            (true, true) => "api.amazonwebservices.com.cn",
        };
        format!("https://{host}{fips}.{region}.{domain}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_endpoint_is_the_region_s_own() {
        assert_eq!(
            EC2.default_endpoint("eu-west-1", false, false),
            "https://ec2.eu-west-1.amazonaws.com"
        );
        assert_eq!(
            SECRETS.default_endpoint("us-gov-west-1", true, false),
            "https://secretsmanager-fips.us-gov-west-1.amazonaws.com"
        );
        assert_eq!(
            SSM.default_endpoint("cn-north-1", false, false),
            "https://ssm.cn-north-1.amazonaws.com.cn"
        );
        assert_eq!(STS.default_endpoint("us-east-1", false, true), "https://sts.us-east-1.api.aws");
    }
}
