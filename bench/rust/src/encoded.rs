//! Requests that are bytes already.

use std::marker::PhantomData;

use bytes::{BufMut, Bytes};
use http::uri::PathAndQuery;
use prost::Message;
use tonic::Status;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};

use crate::{DEADLINE, Job, Outcome};

pub(crate) async fn connect(job: &Job) -> Outcome<Channel> {
    Ok(Endpoint::from_shared(job.url())?.timeout(DEADLINE).tcp_nodelay(true).connect().await?)
}

/// Sends a request and decodes the answer.
pub(crate) async fn send<Answer: Message + Default + 'static>(
    channel: Channel,
    key: &MetadataValue<Ascii>,
    path: &'static str,
    request: Bytes,
) -> Outcome<Answer> {
    let mut grpc = Grpc::new(channel);
    grpc.ready().await?;
    let mut request = tonic::Request::new(request);
    request.metadata_mut().insert("api-key", key.clone());
    let codec = Encoded(PhantomData);
    Ok(grpc.unary(request, PathAndQuery::from_static(path), codec).await?.into_inner())
}

/// Sends bytes as they are; decodes answers as usual.
struct Encoded<Answer>(PhantomData<Answer>);

impl<Answer: Message + Default + 'static> Codec for Encoded<Answer> {
    type Encode = Bytes;
    type Decode = Answer;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self(PhantomData)
    }

    fn decoder(&mut self) -> Self {
        Self(PhantomData)
    }
}

impl<Answer: Send + 'static> Encoder for Encoded<Answer> {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, request: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(request.len());
        buffer.put(request);
        Ok(())
    }
}

impl<Answer: Message + Default + 'static> Decoder for Encoded<Answer> {
    type Item = Answer;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Answer>, Status> {
        Answer::decode(buffer).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
