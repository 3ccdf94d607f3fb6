//! Copies of snapshots in other regions, or under another key.

use std::time::{Duration, SystemTime};

use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use serde::Deserialize;

use super::{Ec2, tagged};
use crate::error::causes;
use crate::{Aws, AwsError, Tags, service};

/// How long AWS may take to fetch what the signed address asks for.
const PRESIGNED_FOR: Duration = Duration::from_secs(3600);

/// A copy of a snapshot that is to be made in the region of the client.
#[derive(Debug, Clone, Default)]
pub struct CopySnapshot<'a> {
    /// The snapshot.
    pub source: &'a str,
    /// The region it is in.
    pub source_region: &'a str,
    /// What to say about the copy.
    pub description: &'a str,
    /// The key for the copy, in the region of the copy. Without, the account's default one if the
    /// snapshot is encrypted.
    pub kms_key_id: Option<&'a str>,
    /// The copy's tags; the snapshot's do not come along.
    pub tags: Tags,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Copied {
    snapshot_id: String,
}

impl Ec2 {
    /// Copies a snapshot into this region, and gives the id of the copy, which is `pending` at first.
    /// Takes no client token, as [`Ec2::create_snapshot`].
    ///
    /// Source: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CopySnapshot.html>.
    pub async fn copy_snapshot(&self, copy: &CopySnapshot<'_>) -> Result<String, AwsError> {
        let aws = &self.0;
        let mut query = self
            .query("CopySnapshot")
            .once()
            .set("SourceRegion", copy.source_region)
            .set("SourceSnapshotId", copy.source)
            .set("Description", copy.description)
            .maybe("KmsKeyId", copy.kms_key_id);
        if copy.kms_key_id.is_some() {
            query = query.set("Encrypted", true);
        }
        // Reading an encrypted snapshot in its own region needs a signature for that region.
        if copy.source_region != aws.region() {
            query = query.set("PresignedUrl", presign(aws, copy, SystemTime::now()).await?);
        }
        let copied: Copied = tagged(query, "snapshot", &copy.tags).send().await?;
        Ok(copied.snapshot_id)
    }
}

/// The address, signed for the region of the source, by which AWS reads the snapshot there.
async fn presign(aws: &Aws, copy: &CopySnapshot<'_>, now: SystemTime) -> Result<String, AwsError> {
    let unsignable = |reason: String| AwsError::Credentials { reason };
    let provider = aws.inner.config.credentials_provider();
    let provider = provider.ok_or_else(|| unsignable("none are configured".to_owned()))?;
    let credentials =
        provider.provide_credentials().await.map_err(|error| unsignable(causes(&error)))?;
    let identity = credentials.into();

    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(PRESIGNED_FOR);
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(copy.source_region)
        .name(service::EC2.name)
        .time(now)
        .settings(settings)
        .build()
        .map_err(|error| unsignable(causes(&error)))?
        .into();

    let mut url = service::EC2.endpoint(&aws.inner.config, copy.source_region);
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", "CopySnapshot").append_pair("Version", service::EC2.api);
    form.append_pair("SourceRegion", copy.source_region);
    form.append_pair("SourceSnapshotId", copy.source);
    form.append_pair("DestinationRegion", aws.region());
    url.push_str("/?");
    url.push_str(&form.finish());

    let request = SignableRequest::new("GET", &url, std::iter::empty(), SignableBody::Bytes(&[]))
        .map_err(|error| unsignable(causes(&error)))?;
    let (signed, _) =
        sign(request, &params).map_err(|error| unsignable(causes(&error)))?.into_parts();
    let (_, signature) = signed.into_parts();
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in &signature {
        form.append_pair(name, value);
    }
    url.push('&');
    url.push_str(&form.finish());
    Ok(url)
}
